"""One run: what a config describes, carried out in a run directory."""
