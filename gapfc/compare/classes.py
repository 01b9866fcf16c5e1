"""Which classes each group gets right, and what it takes them for: from predictions.npz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gapfc.compare.estimate import Array
from gapfc.compare.row import Row
from gapfc.formatting import printable
from gapfc.records.predictions import Predictions, read_predictions
from gapfc.records.run import Run

MOST_CLASSES = 1000  # a matrix of more is larger than what it tells


@dataclass(frozen=True, eq=False)
class Classes:
    """What the runs of groups said of K classes of test images.

    names: [K], the classes' names, or their numbers where no run recorded names.
    shares: by label of the group, [K, K]: of the images of a class (row), the share that was taken
        for each class (column), as the mean over seeds. Rows sum to 1, but for images that were
        seen as no class that is tested.
    """

    names: tuple[str, ...]
    shares: dict[str, Array]

    def recall(self, label: str) -> Array:
        """The share of each class that is seen as what it is, [K]."""
        return np.diagonal(self.shares[label])


def classes_of(rows: Sequence[Row]) -> Classes | None:
    """Of the groups whose runs all have predictions, on the classes of the first that has them.

    None where there is none, or where there are more than MOST_CLASSES.
    """
    known: NDArray[np.int64] | None = None
    shares: dict[str, Array] = {}
    for row in rows:
        found = _read(row)
        if known is None and found:
            known = np.unique(found[0].label)
            if len(known) > MOST_CLASSES:
                return None
        if known is not None and found and all(_same(each, known) for each in found):
            shares[row.label] = np.mean([_shares(each, known) for each in found], axis=0)
    if known is None or not shares:
        return None
    return Classes(_names([run for row in rows for run in row.runs.values()], known), shares)


def _same(seen: Predictions, known: NDArray[np.int64]) -> bool:
    return bool(np.array_equal(np.unique(seen.label), known))


def _read(row: Row) -> list[Predictions] | None:
    try:
        return [read_predictions(run.path) for run in row.runs.values()]
    except (OSError, ValueError):
        return None  # a note above the table says so


def _shares(seen: Predictions, known: NDArray[np.int64]) -> Array:
    """[K, K] of one run; known: the classes, [K], sorted."""
    size = len(known)
    true = np.searchsorted(known, seen.label)
    taken = np.searchsorted(known, seen.prediction)
    # A class that no test image has, or none at all as after a nan, is in no column.
    is_known = np.isin(seen.prediction, known)
    cells = true[is_known] * size + taken[is_known]
    counts = np.bincount(cells, minlength=size * size).reshape(size, size)
    return np.asarray(counts / np.bincount(true, minlength=size)[:, None])


def _names(runs: Sequence[Run], known: NDArray[np.int64]) -> tuple[str, ...]:
    """The classes' names from the first results.json that has them for all."""
    for run in runs:
        names = run.results.get("classes")
        if isinstance(names, list) and len(names) > known.max():
            return tuple(printable(str(names[index]), 24) for index in known)
    return tuple(map(str, known.tolist()))
