"""Trained models measured again: `gapfc evaluate`."""
