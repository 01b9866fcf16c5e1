"""Whether a split's classes are of uneven size, so that accuracy alone misleads."""

from collections.abc import Mapping
from typing import Any

# By which the largest class is as large as the smallest, or more, where balanced accuracy is shown.
UNEVEN = 1.5
CLASS_SIZES = "class_sizes"


def has_uneven_classes(scores: Any) -> bool:
    """Whether the largest class has UNEVEN times as many images as the smallest that has any.

    scores: of a split, as results.json has them, whatever a stranger's holds; runs of before don't
    say how large classes are.
    """
    sizes = scores.get(CLASS_SIZES) if isinstance(scores, Mapping) else None
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        return False
    present = [size for size in sizes if size > 0]
    return bool(present) and max(present) >= UNEVEN * min(present)
