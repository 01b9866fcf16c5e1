"""Where images come from: one module per kind of data set."""
