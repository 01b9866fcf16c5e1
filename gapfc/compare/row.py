"""One group of runs: what they measured, and how they compare with the group's baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gapfc.compare.convergence import TimeToTarget
from gapfc.compare.crossed import crossed
from gapfc.compare.equivalence import Verdict
from gapfc.compare.estimate import Array, Interval, seeds_alone
from gapfc.compare.fields import ABSENT, metric_of
from gapfc.compare.groups import Group, Values
from gapfc.compare.images import Images, PerImage
from gapfc.compare.question import Question
from gapfc.compare.statistics import Paired, compare_paired
from gapfc.measure.wilson import wilson
from gapfc.records.run import Run

# Keys whose values speak for themselves: `fc`, but `hidden=[512]`.
SELF_EVIDENT = (
    "head", "backbone", "dataset", "protocol", "source.head", "source.dataset", "command",
)  # fmt: skip


@dataclass
class Row:
    """One group: its runs by seed, what they measured, and how they compare with the baseline.

    metric: its value by seed; the seeds without one are in `without_value`.
    mean, interval: of the metric over seeds; the interval also over images, where they are known.
    seeds_alone: why an interval is over seeds alone though images say this metric; None if none is.
    verdict: on the comparison, if a margin was given.
    baseline: label of the group it is compared with.
    not_paired: seeds missing from one of the two.
    epochs, seconds: to the target; None without a target.
    paired_epochs: the comparison of epochs; None unless all runs that are paired got there.
    """

    values: Values
    label: str
    runs: dict[int, Run]
    metric: dict[int, float]
    without_value: list[int]
    mean: float | None
    interval: Interval | None
    is_baseline: bool = False
    baseline: str | None = None
    paired: Paired | None = None
    verdict: Verdict | None = None
    seeds_alone: str | None = None
    not_paired: list[int] = field(default_factory=list)
    no_comparison: str | None = None
    epochs: TimeToTarget | None = None
    seconds: TimeToTarget | None = None
    paired_epochs: Paired | None = None

    @property
    def n(self) -> int:
        """Seeds with a value of the metric."""
        return len(self.metric)

    def mean_of(self, path: str) -> float | None:
        """The mean of any other number of results.json over the runs that have it, if any."""
        found = [value for run in self.runs.values() if (value := metric_of(run, path)) is not None]
        return sum(found) / len(found) if found else None

    def told_apart(self, confidence: float) -> bool:
        """Whether it differs from its baseline: by the interval, and by Holm's p as well."""
        return self.paired is not None and self.paired.told_apart(confidence)

    def compare_with(
        self, other: Row, question: Question, better: int, images: Images | None
    ) -> None:
        """Fill in the comparison with the baseline `other`, over the seeds that both have.

        better: +1 where a larger metric is better, -1 where a smaller is. images: what they say of
        the metric; None: nothing.
        """
        self.baseline = other.label
        seeds = sorted(self.metric.keys() & other.metric.keys())
        self.not_paired = sorted(self.metric.keys() ^ other.metric.keys())
        if not seeds:
            self.no_comparison = f"no seed in common with {other.label}"
            return
        self.paired = compare_paired(
            [self.metric[seed] for seed in seeds],
            [other.metric[seed] for seed in seeds],
            seeds,
            better,
            question.confidence,
            None if images is None else self._by_image(other, seeds, images),
        )

    def compare_epochs(self, other: Row, question: Question) -> None:
        """Fill in the comparison of epochs to the target with the baseline `other`.

        Left out where a run of a shared seed never got there: then only how many did can be told.
        """
        if self.epochs is None or other.epochs is None:
            return
        mine, theirs = self.epochs.times, other.epochs.times
        seeds = sorted(mine.keys() & theirs.keys())
        if seeds and all(math.isfinite(mine[s]) and math.isfinite(theirs[s]) for s in seeds):
            self.paired_epochs = compare_paired(
                [mine[seed] for seed in seeds], [theirs[seed] for seed in seeds], seeds, -1,
                question.confidence,
            )  # fmt: skip

    def _by_image(self, other: Row, seeds: Sequence[int], images: Images) -> Array | None:
        """The difference by seed and image, [S, I]; None, and the reason noted, if not known."""
        mine, theirs = (images.of([row.runs[seed] for seed in seeds]) for row in (self, other))
        if isinstance(mine, PerImage) and isinstance(theirs, PerImage):
            said = mine.matches(theirs)
            if said is None:
                return mine.values - theirs.values
            self.seeds_alone = f"{self.label} and {other.label} {said}"
        else:
            self.seeds_alone = self.seeds_alone or other.seeds_alone
        return None


def row_of(group: Group, question: Question, images: Images | None) -> Row:
    """The row of a group, not yet compared with any other. images: as in Row.compare_with."""
    runs = dict(sorted(group.runs.items()))
    values = {seed: metric_of(run, question.metric) for seed, run in runs.items()}
    metric = {seed: value for seed, value in values.items() if value is not None}
    by_image = images.of([runs[seed] for seed in metric]) if images and metric else None
    return Row(
        values=group.values,
        label=label_of(group.values, question.by),
        runs=runs,
        metric=metric,
        without_value=[seed for seed in runs if seed not in metric],
        mean=sum(metric.values()) / len(metric) if metric else None,
        interval=_own_interval([*metric.values()], by_image, question.confidence),
        seeds_alone=by_image if isinstance(by_image, str) else None,
    )


def _own_interval(
    values: Sequence[float], by_image: PerImage | str | None, confidence: float
) -> Interval | None:
    """Of a group's own mean: over seeds and images if known; Wilson's for one run's accuracy."""
    if not values:
        return None
    if not isinstance(by_image, PerImage):
        return seeds_alone(values).student(confidence)
    each = by_image.values
    if len(each) == 1 and bool(((each == 0) | (each == 1)).all()):
        return Interval(*wilson(float(each.mean()), each.size, confidence), "wilson")
    return crossed(each).interval(confidence)


def label_of(values: Values, by: Sequence[str]) -> str:
    """`fc`, `fc, hidden=[512]`, `fc, finetune`: short, and unique among the groups."""
    parts = [
        value if key in SELF_EVIDENT or "." not in key else f"{key.rpartition('.')[2]}={value}"
        for key, value in zip(by, values, strict=True)
        if value != ABSENT or len(by) == 1
    ]
    return ", ".join(parts)
