"""Training: the loop, optimisation, precision and checkpoints. It knows nothing of heads."""
