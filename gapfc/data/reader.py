"""What reads the images of a split onto the device, and hands them to the augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from gapfc.data.sizes import Size

ALL = slice(None)


@dataclass(frozen=True)
class Chunk:
    """The images of one or more batches, on the device.

    images: uint8 [M, c, h, w]; labels: int64 [M]; rows: their places in the requested order (a
    slice, or int64 [M] if corrupt files were left out); lengths: images per batch.
    """

    images: Tensor
    labels: Tensor
    rows: slice | Tensor
    lengths: list[int]


class Reader(Protocol):
    """One split, resident on the device or streamed to it."""

    sizes: list[Size] | None  # of each image; None if all are of one size
    labels: Tensor  # int64 [N]

    def __len__(self) -> int:
        """Number of images."""

    def read(self, batches: Sequence[Tensor]) -> Iterator[Chunk]:
        """The images of `batches` (image numbers on the CPU, of one size within a batch).

        Raises UserError naming a corrupt file when it is met, unless the split skips them.
        """

    def in_order(
        self, batch_size: int, part: slice = ALL
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Every image once, always in the same order. part: of the batches, those to read.

        uint8 [B, c, h, w], labels int64 [B], and on the CPU the images' places among those that the
        source gave, int64 [B].
        """
