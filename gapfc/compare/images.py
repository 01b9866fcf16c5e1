"""What each test image said of each run: from predictions.npz or probes.npz, each read once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gapfc.compare.estimate import Array
from gapfc.compare.fields import metric_of
from gapfc.formatting import printable
from gapfc.records.predictions import PREDICTIONS, read_predictions
from gapfc.records.probes import IMAGES, place_of, read_probes
from gapfc.records.run import Run

ACCURACY = "test.accuracy"
PROBE = "probe."


@dataclass(frozen=True, eq=False)
class PerImage:
    """What images add to a metric, sorted by their index.

    data: which images these are, where a file says so. index, labels: [I], of the images; the label
    is 0 where none is known. values: [S, I], of S runs, whose mean over images is the metric.
    """

    data: str
    index: NDArray[np.int64]
    labels: NDArray[np.int64]
    values: Array

    def matches(self, other: PerImage) -> str | None:
        """None if both are of the same images, else what they differ in."""
        if self.data != other.data or not np.array_equal(self.index, other.index):
            return "were measured on different images"
        if not np.array_equal(self.labels, other.labels):
            return "were measured on images with different labels"
        return None


class Images:
    """Of the metric at `path`, run by run. `problems` says of which runs it is not known, and why.

    None of its runs is asked for where a metric is not a mean over images.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: dict[Path, str] = {}
        self._read: dict[Path, PerImage | None] = {}

    @property
    def file(self) -> str | None:
        """The file in a run directory that would know; None for a metric that images do not add."""
        if self.path == ACCURACY:
            return PREDICTIONS
        return IMAGES if self.path.startswith(PROBE) else None

    @property
    def missing(self) -> str:
        """What `of` says where `problems` says more."""
        return f"without {self.file}"

    def of(self, runs: Sequence[Run]) -> PerImage | str:
        """What the images say of `runs` [S], or in words why that is not known."""
        found = [each for run in runs if (each := self._of(run)) is not None]
        if len(found) < len(runs):
            return self.missing
        first = found[0]
        for other in found[1:]:
            if said := first.matches(other):
                return f"its runs {said}"
        return replace(first, values=np.concatenate([each.values for each in found]))

    def _of(self, run: Run) -> PerImage | None:
        if run.path not in self._read:
            try:
                self._read[run.path] = self._read_one(run)
            except FileNotFoundError:
                self._fails(run, f"no {self.file}")
            except (OSError, ValueError) as error:
                said = error.strerror if isinstance(error, OSError) else printable(str(error))
                self._fails(run, f"{self.file}: {said}")
        return self._read[run.path]

    def _fails(self, run: Run, reason: str) -> None:
        self.problems[run.path] = reason
        self._read[run.path] = None

    def _read_one(self, run: Run) -> PerImage:
        if self.path == ACCURACY:
            seen, data = read_predictions(run.path), ""
            index, labels, values = seen.index, seen.label, seen.right.astype(float)
        else:
            stem, metric = place_of(run.path, self.path.removeprefix(PROBE))
            probes = read_probes(run.path, stem)
            known = probes.per_image(metric)
            if known is None:
                raise ValueError(f"it does not hold {self.path}")
            data = json.dumps(probes.data, sort_keys=True)
            index, labels, values = probes.index, np.zeros_like(probes.index), known
        if len(index) < 2:
            raise ValueError("it holds a single image")
        mean, recorded = float(values.mean()), metric_of(run, self.path)
        # Half an image is beyond any rounding: the file is of other weights or images.
        if recorded is None or not abs(mean - recorded) * len(index) < 0.5:
            raise ValueError(f"by its images {self.path} would be {mean:.4f}")
        order = np.argsort(index)
        return PerImage(data, index[order], labels[order], values[order][None])
