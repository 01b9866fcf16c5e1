"""A trained model as a file for other programs; each is run again before it is kept."""
