"""What else than the question may explain a difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
