"""What a setting that should be a number may be."""

from math import isfinite


def is_number(value: object) -> bool:
    """Whether `value` is a finite int or float; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
