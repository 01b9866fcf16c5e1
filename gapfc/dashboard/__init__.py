"""`gapfc dashboard`: TensorBoard over runs, under names that people can read. Torch-free."""
