"""metrics.csv of runs: read once each, and only when a picture or an unrecorded target needs it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gapfc.compare.collect import Run

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
                curve = read_metrics(run.path / "metrics.csv")
            except (OSError, ValueError, csv.Error) as error:
                said = error.strerror if isinstance(error, OSError) else error
                self.problems.append(f"{run.path}: metrics.csv: {said}; not in the curves")
                curve = None
            self._read[run.path] = curve
        return self._read[run.path]


def read_metrics(path: Path) -> Curve:
    """Reads a metrics.csv: column -> values [epochs].

    A last line that was cut short, as a killed run leaves it, is passed over.
    Raises OSError, or ValueError when there is no row or a cell is no number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if len(rows) < 2:
        raise ValueError("holds no epoch")
    header, body = rows[0], rows[1:]
    if len(body[-1]) != len(header):
        body = body[:-1]
    if not body or any(len(row) != len(header) for row in body):
        raise ValueError("has rows of unequal length")
    table = np.array([[float(cell) if cell else np.nan for cell in row] for row in body])
    return {name: table[:, index] for index, name in enumerate(header)}


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
