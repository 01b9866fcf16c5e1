"""Augmentation policies: for each image an operation of a list, drawn at random."""
