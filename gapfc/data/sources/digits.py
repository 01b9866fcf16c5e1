"""scikit-learn's handwritten digits: real, bundled, no download."""

from __future__ import annotations

from pathlib import Path

import torch

from gapfc.data.arrays import Arrays
from gapfc.data.raw_dataset import RawDataset


def digits(data_root: Path) -> RawDataset:
    """1,797 grey 8x8 images (UCI ML hand-written digits, Alpaydin & Kaynak 1998); no test split.

    Values 0..16 are spread over 0..255.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).reshape(-1, 1, 8, 8).mul(255 / 16).round().to(torch.uint8)
    return RawDataset(
        classes=tuple(str(digit) for digit in range(10)),
        train=Arrays(images, torch.from_numpy(labels).long()),
    )
