"""The process, its memory, its signals and its terminal."""
