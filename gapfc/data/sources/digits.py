"""scikit-learn's handwritten digits: real, bundled, no download."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gapfc.data.arrays import Arrays
from gapfc.data.raw_dataset import RawDataset


def digits(data_root: Path) -> RawDataset:
    """1,797 grey 8x8 images (UCI ML hand-written digits, Alpaydin & Kaynak 1998); no test split.

    Values 0..16 are spread over 0..255.
    """
    pixels, labels = _read()
    images = torch.from_numpy(pixels).reshape(-1, 1, 8, 8).mul(255 / 16).round().to(torch.uint8)
    return RawDataset(
        classes=tuple(str(digit) for digit in range(10)),
        train=Arrays(images, torch.from_numpy(labels).long()),
    )


def _read() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Pixels [1797, 64] of 0..16 and labels [1797], as `load_digits(return_X_y=True)` has them.

    scikit-learn takes a second to import, and its file of 57 kB a hundredth to read.
    """
    spec = find_spec("sklearn")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            with gzip.open(file, "rt", encoding="utf-8") as text:
                table = np.loadtxt(text, delimiter=",")
            return table[:, :-1], table[:, -1].astype(int, copy=False)
    # It has moved in scikit-learn: its own function knows where to.
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return pixels, labels
