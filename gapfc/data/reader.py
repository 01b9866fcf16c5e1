"""What a reader hands to the augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Chunk:
    """The images of one or more batches, on the device.

    images: uint8 [M, c, h, w]; labels: int64 [M]; rows: where they stand in the order that was
    asked for (a slice, or int64 [M] when corrupt files were left out); lengths: images a batch.
    """

    images: Tensor
    labels: Tensor
    rows: slice | Tensor
    lengths: list[int]
