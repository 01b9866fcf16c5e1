"""`gapfc claims`: a verdict for each claim, from runs that are made for it."""
