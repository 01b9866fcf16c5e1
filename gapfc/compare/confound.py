"""What else than the question may explain a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gapfc.compare.row import Row

Kind = Literal[
    "images", "feature_map", "same_function", "head_rate", "rate", "ceiling", "epochs",
    "head_options", "head_parameters", "unmoved", "two_seeds",
]  # fmt: skip


@dataclass(frozen=True)
class Confound:
    """One such thing.

    Attributes:
        kind: what claims and the JSON file know it by.
        groups: labels of the rows concerned.
        sentence: without a full stop.
        brief: the same in a few words, for the end of a sentence about one comparison.
    """

    kind: Kind
    groups: tuple[str, ...]
    sentence: str
    brief: str


def labels_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Of all of them, as `Confound.groups` has them."""
    return tuple(row.label for row in rows)


def against(rows: Sequence[Row], by: Mapping[str, float], told: Callable[[float], str]) -> str:
    """`5.13k against 4.20M`: the first row and the last, which is its baseline."""
    return " against ".join(told(by[row.label]) for row in (rows[0], rows[-1]) if row.label in by)
