"""Measures of a model and of a run: pure functions and small accumulators."""
