"""metrics.csv of runs: read once each, and only if a picture or an unrecorded target needs it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gapfc.compare.fields import number
from gapfc.formatting import printable
from gapfc.records.metrics_csv import METRICS, read_rows
from gapfc.records.run import Run

Array = NDArray[np.float64]
Curve = dict[str, Array]


class Curves:
    """The curves of runs by path; `problems` names the files that could not be read."""

    def __init__(self) -> None:
        self._read: dict[Path, Curve | None] = {}
        self.problems: list[str] = []

    def of(self, run: Run) -> Curve | None:
        """Columns of metrics.csv, each [epochs], NaN where empty; None when there are none."""
        if run.path not in self._read:
            try:
                curve = read_curve(run.path / METRICS)
            except (OSError, ValueError) as error:
                said = error.strerror if isinstance(error, OSError) else printable(str(error))
                self.problems.append(f"{run.path}: {METRICS}: {said}; not in the curves")
                curve = None
            self._read[run.path] = curve
        return self._read[run.path]


def read_curve(path: Path) -> Curve:
    """Columns of a metrics.csv, each [epochs], NaN where empty.

    Raises OSError, or ValueError if there is no row or a cell is not a number.
    """
    rows = read_rows(path)
    if not rows:
        raise ValueError("holds no epoch")
    return {column: np.array([_measured(row[column]) for row in rows], float) for column in rows[0]}


def _measured(cell: float | None) -> float:
    known = number(cell)
    return np.nan if known is None else known


def over_seeds(runs: Iterable[Run], curves: Curves, x: str, y: str) -> tuple[Array, Array] | None:
    """Column `x`, its mean over runs [points], and column `y` [runs, points].

    Only up to the epoch that every run reached: beyond it a mean would jump to the runs left.
    Epochs at which a run has no value are left out. None when nothing is left, or no run has both
    columns.
    """
    found = [c for run in runs if (c := curves.of(run)) is not None and x in c and y in c]
    if not found:
        return None
    length = min(len(curve[y]) for curve in found)
    xs = np.mean([curve[x][:length] for curve in found], axis=0)
    ys = np.array([curve[y][:length] for curve in found])
    keep = np.isfinite(ys).all(axis=0) & np.isfinite(xs)
    return (xs[keep], ys[:, keep]) if keep.any() else None
