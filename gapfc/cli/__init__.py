"""The command line: which commands there are, how they are launched, and the help on them."""
