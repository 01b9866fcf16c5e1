"""Accuracy over what a probe varied in the images of one run: shift in pixels, size, severity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from gapfc.compare.choose import size_of
from gapfc.compare.fields import number, part_of
from gapfc.records.run import Run

WAYS = ("zero", "circular")
MOST_POINTS = 40

Curve = dict[float, float]  # x -> accuracy, in [0, 1]


def probe(run: Run, *path: str) -> Mapping[str, Any]:
    """What is at `probe.<path>` of a run; empty if it was not measured."""
    return part_of(run.results, "probe", *path)


def curve(conditions: Mapping[str, Any], clean: float | None = None) -> Curve:
    """Accuracy by condition; clean: that of unchanged images, at 0, if it is known."""
    found: Curve = {}
    for name in list(conditions)[:MOST_POINTS]:
        x, accuracy = size_of(name), share(part_of(conditions, name).get("accuracy"))
        if x is not None and x > 0 and accuracy is not None:
            found[x] = accuracy
    return {0.0: clean, **found} if found and clean is not None else found


def clean_accuracy(run: Run) -> float | None:
    """Accuracy on the unchanged images, which any shift's drop is from."""
    for way in WAYS:
        for values in probe(run, "shift", way).values():
            accuracy, drop = (number(part_of(values).get(key)) for key in ("accuracy", "drop"))
            if accuracy is not None and drop is not None:
                return share(accuracy + drop)
    return share(probe(run, "clean").get("accuracy"))


def over_runs(curves: Iterable[Curve]) -> dict[float, list[float]]:
    """The accuracies of all `curves` at each x, which rises."""
    at: dict[float, list[float]] = defaultdict(list)
    for each in curves:
        for x, accuracy in each.items():
            at[x].append(accuracy)
    return dict(sorted(at.items()))


def share(value: Any) -> float | None:
    """A number in [0, 1]; None for anything else."""
    found = number(value)
    return found if found is not None and 0 <= found <= 1 else None
