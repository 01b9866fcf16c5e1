"""What the runs of two arms say of a contrast: an estimate, and what stands in its way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapfc.claims.claim import Contrast
from gapfc.claims.verdict import FEWEST_SEEDS, toward
from gapfc.compare.crossed import crossed
from gapfc.compare.estimate import Array, Estimate, seeds_alone
from gapfc.compare.fields import metric_of
from gapfc.compare.images import Images
from gapfc.records.run import Run

GAP = "generalization_gap.accuracy"
CENSORED = "convergence.to_"


@dataclass(frozen=True)
class Measured:
    """The estimate of one contrast.

    Attributes:
        estimate: in the claim's direction: shares, or logarithms of factors. None where nothing
            can be estimated, and `obstacle` says why.
        of, against: the mean of both arms, in the metric's own unit.
        by_seed: the value of `of`, and of `against`, by seed; those that have both.
        exact: no seed changes it.
        censored_of, censored_against: runs that never reached the target, counted at their last
            step, which is less than they would have needed.
        obstacle: why the contrast is not testable here, if so. remedy: what would help.
    """

    estimate: Estimate | None
    of: float | None
    against: float | None
    by_seed: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    exact: bool = False
    censored_of: int = 0
    censored_against: int = 0
    obstacle: str = ""
    remedy: str = ""


def measure(contrast: Contrast, of: Mapping[int, Run], against: Mapping[int, Run]) -> Measured:
    """The contrast between the runs of two arms, by seed."""
    seeds = sorted(of.keys() & against.keys())
    ours = [_value(of[seed], contrast.metrics) for seed in seeds]
    theirs = [_value(against[seed], contrast.against_metrics) for seed in seeds]
    kept = [
        index
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True))
        if a is not None and b is not None
    ]
    if not kept:
        what, remedy = ", ".join(dict.fromkeys(contrast.all_metrics)), "look into their run.log"
        obstacle = f"{what}: no value in these runs"
        if any(".native." in metric for metric in contrast.all_metrics):
            obstacle, remedy = "the head takes no size but the one it was trained at", ""
        return Measured(None, _mean(ours), _mean(theirs), obstacle=obstacle, remedy=remedy)
    seeds = [seeds[index] for index in kept]
    a, b = (np.array([each[index] for index in kept], float) for each in (ours, theirs))
    exact = _exact(contrast) and bool(np.ptp(a) == 0 and np.ptp(b) == 0)
    sign = toward(contrast)
    told: dict[str, Any] = {
        "of": float(a.mean()),
        "against": float(b.mean()),
        "by_seed": dict(zip(seeds, zip(a.tolist(), b.tolist(), strict=True), strict=True)),
        "exact": exact,
        "censored_of": _censored(contrast.metrics, [of[seed] for seed in seeds]),
        "censored_against": _censored(contrast.against_metrics, [against[seed] for seed in seeds]),
    }
    if told["censored_of"] == told["censored_against"] == len(seeds):
        told |= {"of": None, "against": None}
        remedy = "more epochs would help"
        return Measured(None, **told, obstacle="no run of either reached the target", remedy=remedy)
    if contrast.unit == "factor":
        if min(a.min(), b.min()) <= 0:
            return Measured(
                None, told["of"], told["against"], obstacle="one of both is 0: there is no factor",
                remedy="none: it is as different as can be",
            )  # fmt: skip
        estimate = seeds_alone(sign * (np.log(a) - np.log(b)))
    else:
        rows = _per_image(contrast, [of[seed] for seed in seeds], [against[seed] for seed in seeds])
        estimate = crossed(sign * rows) if rows is not None else seeds_alone(sign * (a - b))
    if not exact and len(seeds) < FEWEST_SEEDS:
        return Measured(
            estimate,
            **told,
            obstacle=f"fewer than {FEWEST_SEEDS} seeds",
            remedy="more seeds would help",
        )
    return Measured(estimate, **told)


def errors(contrast: Contrast, runs: Sequence[Run]) -> float | None:
    """How many test images the runs got wrong, in the mean; None where nothing says it."""
    shares = (".accuracy", ".drop")
    if contrast.unit != "points" or not contrast.metrics[0].endswith(shares):
        return None
    counts = []
    for metric in contrast.against_metrics:
        path = metric.removesuffix(".drop") + ".accuracy" if metric.endswith(".drop") else metric
        found = Images("test.accuracy" if path == GAP else path).of(list(runs))
        if isinstance(found, str):
            return None
        counts.append(float((1 - found.values).sum(axis=1).mean()))
    return sum(counts) / len(counts)


def _value(run: Run, metrics: Sequence[str]) -> float | None:
    values = [_one(run, metric) for metric in metrics]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _one(run: Run, metric: str) -> float | None:
    if not run.completed:
        return None
    parts = [metric_of(run, part.strip()) for part in metric.split(" / ")]
    if metric.startswith(CENSORED) and parts[0] is None:
        return metric_of(run, "steps")
    if any(part is None for part in parts) or any(part == 0 for part in parts[1:]):
        return None
    return math.prod([float(parts[0] or 0), *(1 / float(part or 1) for part in parts[1:])])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _exact(contrast: Contrast) -> bool:
    return all(m.startswith(("parameters.", "macs.")) for m in contrast.all_metrics)


def _censored(metrics: Sequence[str], runs: Sequence[Run]) -> int:
    return sum(
        any(m.startswith(CENSORED) and metric_of(run, m) is None for m in metrics) for run in runs
    )


def _per_image(contrast: Contrast, of: Sequence[Run], against: Sequence[Run]) -> Array | None:
    """The difference [S, I] by seed and image; None where images do not say it alone."""
    ours, theirs = _images(contrast.metrics, of), _images(contrast.against_metrics, against)
    if ours is None or theirs is None or not np.array_equal(ours[0], theirs[0]):
        return None
    return np.asarray(ours[1] - theirs[1])


def _images(metrics: Sequence[str], runs: Sequence[Run]) -> tuple[NDArray[np.int64], Array] | None:
    """The images' index [I], and what they add to the mean of `metrics`, [S, I]."""
    index: NDArray[np.int64] | None = None
    total: Array | None = None
    for metric in metrics:
        found = Images("test.accuracy" if metric == GAP else metric).of(runs)
        if isinstance(found, str) or (index is not None and not np.array_equal(index, found.index)):
            return None
        values = found.values
        if metric == GAP:  # train - test accuracy: the former is a number of the run
            train = np.array([metric_of(run, "train.accuracy") or 0.0 for run in runs])
            values = train[:, None] - values
        index, total = found.index, values if total is None else total + values
    return None if index is None or total is None else (index, total / len(metrics))
