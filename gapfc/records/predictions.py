"""predictions.npz: what a run's final weights said of each test image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapfc.records.npz import read_npz, write_npz

PREDICTIONS = "predictions.npz"
_TYPES = {
    "index": np.int64,
    "label": np.int64,
    "prediction": np.int64,
    "p_label": np.float32,
    "p_prediction": np.float32,
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Of N images, in the order in which they were measured; all arrays [N].

    Attributes:
        index: int64, the image's place in the data set as stored, which makes it the same image
            in every run.
        label: int64, the true class. prediction: int64, the class seen; -1 if a logit was nan.
        p_label, p_prediction: float32, the probabilities given to these two; nan if a logit was
            not finite.
    """

    index: NDArray[Any]
    label: NDArray[Any]
    prediction: NDArray[Any]
    p_label: NDArray[Any]
    p_prediction: NDArray[Any]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the class seen is the true one, [N]."""
        return np.asarray(self.prediction == self.label)


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write predictions.npz in `folder`, atomically. Raises OSError."""
    arrays = {name: getattr(predictions, name).astype(kind) for name, kind in _TYPES.items()}
    write_npz(folder / PREDICTIONS, arrays)


def read_predictions(folder: Path) -> Predictions:
    """Those of the run in `folder`. Raises OSError, or ValueError saying what is wrong."""
    arrays = read_npz(folder / PREDICTIONS)
    missing = sorted(_TYPES.keys() - arrays.keys())
    if missing:
        raise ValueError(f"it has no array {missing[0]}")
    found = {name: arrays[name] for name in _TYPES}
    for name, kind in _TYPES.items():
        if found[name].dtype != kind or found[name].ndim != 1:
            raise ValueError(f"{name} should be [N] of {np.dtype(kind)}")
    if len({len(array) for array in found.values()}) != 1 or not len(found["index"]):
        raise ValueError("its arrays are of different lengths, or empty")
    for name, least in (("index", 0), ("label", 0), ("prediction", -1)):
        if found[name].min() < least:
            raise ValueError(f"{name} is below {least}")
    for name in ("p_label", "p_prediction"):
        if ((found[name] < 0) | (found[name] > 1)).any():
            raise ValueError(f"{name} has probabilities that are none")
    if len(np.unique(found["index"])) != len(found["index"]):
        raise ValueError("it has an image twice")
    return Predictions(**found)
