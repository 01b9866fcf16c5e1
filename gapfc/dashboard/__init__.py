"""`gapfc dashboard`: TensorBoard over runs, under readable names. Needs no torch."""
