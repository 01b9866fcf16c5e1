"""Trained models put to use: loaded from their run directory, asked about images."""
