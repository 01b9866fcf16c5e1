"""What a run leaves behind: the run directory, its results and its TensorBoard events."""
