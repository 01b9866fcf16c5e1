"""Several processes of one run, each with a device of its own: ranks, as torch calls them."""
