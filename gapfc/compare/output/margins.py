"""The groups' curves as TensorBoard's margin charts want them: mean and interval at each step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gapfc.compare.answer import Comparison, Row
from gapfc.compare.curves import Array, Curves
from gapfc.compare.statistics import mean_interval
from gapfc.tensorboard.margins import Margin

# Column of metrics.csv -> title, and the range that an interval is cut to.
MEASURES = {
    "val_accuracy": ("validation accuracy", 0.0, 1.0),
    "val_loss": ("validation loss", 0.0, float("inf")),
}


def margins(comparison: Comparison) -> Iterator[Margin]:
    """A margin for each group and measure that runs have a curve of, rows in their order.

    The interval is the comparison's: of the mean over seeds, at its confidence, cut to the
    values that the measure can take. Up to the epoch that every run of the group reached.
    """
    confidence = comparison.question.confidence
    for column, (measure, lowest, highest) in MEASURES.items():
        for row in comparison.rows:
            found = _over_seeds(row, comparison.curves, column)
            if found is None:
                continue
            steps, values = found
            mean = values.mean(axis=0)
            bands = [mean_interval(at_step, confidence, "t")[0] for at_step in values.T]
            yield Margin(
                group=row.label,
                measure=f"{measure}: mean over seeds, {100 * confidence:g}% interval",
                steps=[round(step) for step in steps],
                mean=[float(m) for m in mean],
                lower=[
                    _cut(b.low if b else m, lowest, highest)
                    for b, m in zip(bands, mean, strict=True)
                ],
                upper=[
                    _cut(b.high if b else m, lowest, highest)
                    for b, m in zip(bands, mean, strict=True)
                ],
            )


def _over_seeds(row: Row, curves: Curves, column: str) -> tuple[Array, Array] | None:
    """Steps [points], and values [seeds, points] where every seed has one."""
    found = [
        curve
        for run in row.runs.values()
        if (curve := curves.of(run)) is not None and "step" in curve and column in curve
    ]
    if not found:
        return None
    length = min(len(curve[column]) for curve in found)
    steps = np.mean([curve["step"][:length] for curve in found], axis=0)
    values = np.array([curve[column][:length] for curve in found])
    keep = np.isfinite(values).all(axis=0) & np.isfinite(steps)
    return (steps[keep], values[:, keep]) if keep.any() else None


def _cut(value: float, lowest: float, highest: float) -> float:
    return float(min(max(value, lowest), highest))
