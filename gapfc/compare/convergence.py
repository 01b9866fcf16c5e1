"""Epochs and seconds until a validation accuracy is reached, with runs that never did.

A run that never reached the target is *censored*: it would have taken longer than its budget.
Leaving it out, or counting its last epoch, makes a slow group look fast. So a group is described by
its median, with a censored run counted as slower than all others: that is right whenever the
censored runs would indeed have come last, and is ">12" when half of the runs or more never got
there. The share of runs that did ("2/3") is always shown beside it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from gapfc.compare.curves import Curves
from gapfc.compare.fields import metric_of, number, part_of
from gapfc.formatting import NOTHING
from gapfc.measure.convergence import convergence
from gapfc.records.run import Run

Unit = Literal["epochs", "seconds"]


@final
@dataclass(frozen=True)
class TimeToTarget:
    """Time to the target of the runs of a group, by seed; math.inf where it was never reached."""

    times: dict[int, float]
    budget: float  # the longest that a censored run was trained, in the same unit

    @property
    def count(self) -> int:
        """Runs that reached the target."""
        return sum(math.isfinite(time) for time in self.times.values())

    @property
    def total(self) -> int:
        """Runs of which it is known whether they did."""
        return len(self.times)

    @property
    def median(self) -> float | None:
        """math.inf when half of the runs or more were censored; None without runs."""
        return statistics.median(self.times.values()) if self.times else None

    @property
    def finite_median(self) -> float | None:
        """The median, or None when it is not known."""
        median = self.median
        return median if median is not None and math.isfinite(median) else None

    @property
    def mean_of_reached(self) -> float | None:
        """The mean over only the runs that reached it: too fast whenever some did not."""
        times = [time for time in self.times.values() if math.isfinite(time)]
        return sum(times) / len(times) if times else None

    def text(self) -> str:
        """`7.2`, `8.1 (2/3)` if two of three runs got there, `>12 (1/3)`."""
        median = self.median
        if median is None:
            return NOTHING
        told = f"{median:.1f}" if math.isfinite(median) else f">{_short(self.budget)}"
        return told if self.count == self.total else f"{told} ({self.count}/{self.total})"


def _short(budget: float) -> str:
    return f"{budget:.1f}".removesuffix(".0")


def default_target(runs: Sequence[Run]) -> float | None:
    """The highest recorded target that at least half of all runs reached; else the lowest."""
    targets = sorted({target for run in runs for target in _to_accuracy(run)})
    reached = [
        target
        for target in targets
        if 2 * sum(_from_results(run, target, "epochs") not in (None, math.inf) for run in runs)
        >= len(runs)
    ]
    return max(reached, default=min(targets, default=None))


def reached(runs: Mapping[int, Run], target: float, unit: Unit, curves: Curves) -> TimeToTarget:
    """How long each run took to reach `target`, an accuracy in [0, 1], in `unit`.

    Read from results.json where the run reports that target, else interpolated in metrics.csv.
    Runs with neither are left out of the total.
    """
    times: dict[int, float] = {}
    budget = 0.0
    for seed, run in runs.items():
        time = _from_results(run, target, unit)
        if time is None:
            time = _from_curve(run, target, unit, curves)
        if time is None:
            continue
        times[seed] = time
        if not math.isfinite(time):
            trained = metric_of(run, "train_seconds" if unit == "seconds" else unit)
            budget = max(budget, trained or 0.0)
    return TimeToTarget(times, budget)


def _to_accuracy(run: Run) -> dict[float, Mapping[str, Any]]:
    """By target, when it was reached; what is no target in (0, 1] is left out."""
    table: dict[float, Mapping[str, Any]] = {}
    for key in (found := part_of(run.results, "convergence", "to_accuracy")):
        try:
            target = float(key)
        except ValueError:
            continue
        if 0 < target <= 1:
            table[target] = part_of(found, key)
    return table


def _from_results(run: Run, target: float, unit: Unit) -> float | None:
    for recorded, reached_at in _to_accuracy(run).items():
        if abs(recorded - target) < 1e-9:
            time = number(reached_at.get(unit))
            return math.inf if time is None else time
    return None


def _from_curve(run: Run, target: float, unit: Unit, curves: Curves) -> float | None:
    curve = curves.of(run)
    if curve is None or not {"step", "seconds", "val_accuracy"} <= curve.keys():
        return None
    steps, seconds, accuracies = (
        curve[name].tolist() for name in ("step", "seconds", "val_accuracy")
    )
    (there,) = convergence(steps, seconds, accuracies, [target])["to_accuracy"].values()
    time = number(there[unit])
    return math.inf if time is None else time
