"""What is asked of the runs: the options of `gapfc compare`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gapfc.errors import UserError


@dataclass(frozen=True)
class Question:
    """The options of `gapfc compare`, named as there.

    metric: path of a number in results.json or probes.json. by: the keys that make a group.
    choose: the keys whose values validation chooses for each group, together.
    confidence: of all intervals, in (0, 1). interval: "crossed" | "seeds", what they cover.
    margin: difference that would matter, above 0; in points for shares, else in the metric's unit.
    target: validation accuracy in (0, 1], or None for the usual one.
    direction: "higher" | "lower", or None for what is known of the metric.

    Raises UserError for an invalid value, naming the option.
    """

    metric: str = "test.accuracy"
    by: tuple[str, ...] = ("head",)
    baseline: str | None = None
    where: tuple[str, ...] = ()
    choose: tuple[str, ...] = ()
    confidence: float = 0.95
    interval: str = "crossed"
    margin: float | None = None
    target: float | None = None
    direction: str | None = None

    def __post_init__(self) -> None:
        if not self.by:
            raise UserError("--by: give at least one key, as in --by head")
        if not 0 < self.confidence < 1:
            raise UserError(f"--confidence {self.confidence:g}: give a share in (0, 1), as 0.95")
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise UserError(f"--margin {self.margin:g}: give a difference above 0, as 0.5")
        if self.margin is not None and self.confidence <= 0.5:
            raise UserError(
                f"--confidence {self.confidence:g} with --margin: give a share above 0.5, as 0.95"
            )
        if self.target is not None and not 0 < self.target <= 1:
            raise UserError(f"--target {self.target:g}: give an accuracy in (0, 1], as 0.9 for 90%")
        for key in self.choose:
            if key in self.by:
                raise UserError(f"--choose {key}: already in --by; leave it out there")
