"""The groups' curves as TensorBoard's margin charts want them: mean and interval at each step."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gapfc.compare.answer import Comparison
from gapfc.compare.curves import over_seeds
from gapfc.compare.estimate import seeds_alone
from gapfc.formatting import percent
from gapfc.tensorboard.margins import Margin

# Column of metrics.csv -> title, and the range that an interval is cut to.
MEASURES = {
    "val_accuracy": ("validation accuracy", 0.0, 1.0),
    "val_loss": ("validation loss", 0.0, math.inf),
}


def margins(comparison: Comparison) -> Iterator[Margin]:
    """A margin for each group and measure that runs have a curve of, rows in their order.

    The interval is the comparison's: of the mean over seeds, at its confidence, cut to the
    values that the measure can take. Up to the epoch that every run of the group reached.
    """
    confidence = comparison.question.confidence
    for column, (measure, lowest, highest) in MEASURES.items():
        for row in comparison.rows:
            found = over_seeds(row.runs.values(), comparison.curves, "step", column)
            if found is None:
                continue
            steps, values = found
            mean = values.mean(axis=0).tolist()
            intervals = [seeds_alone(at_step).student(confidence) for at_step in values.T]
            # Where there is no interval, as with one seed, the band is the mean itself.
            bands = [(i.low, i.high) if i else (m, m) for i, m in zip(intervals, mean, strict=True)]
            lower, upper = np.clip(bands, lowest, highest).T.tolist()
            yield Margin(
                group=row.label,
                measure=f"{measure}: mean and {percent(confidence)} interval over seeds",
                steps=[round(step) for step in steps],
                mean=mean,
                lower=lower,
                upper=upper,
            )
