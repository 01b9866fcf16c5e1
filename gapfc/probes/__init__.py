"""What a trained model does with images that were moved, resized or corrupted.

A probe is a function `(Subject) -> Finding`, in a file of its name; `gapfc.probes.registry` lists
them.
"""
