"""Sweeps: many runs from one command line, counted, shared out and picked up again."""

from gapfc.sweep.sweeper import Sweeper

__all__ = ["Sweeper"]
