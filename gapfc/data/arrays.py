"""A split whose images are in memory as one uint8 tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 4096  # images resized at a time: bounds the working memory


@dataclass(frozen=True, eq=False)
class Arrays:
    """Images of one size, with their labels.

    images: uint8 [N, 1 or 3, h, w]; labels: int64 [N]; boxes: optional float32 [N, 4], the object's
    (left, top, right, bottom) in pixels, right and bottom exclusive; chosen: int64 [N], which of
    the stored images these are, None for all of them in their order.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor | None = None
    chosen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Arrays:
        """The images at `index` [n] (int64), in that order."""
        boxes = None if self.boxes is None else self.boxes[index]
        images = self.images.index_select(0, index)
        return Arrays(images, self.labels[index], boxes, self.places[index])

    def relabel(self, labels: Tensor) -> Arrays:
        """The same images with other labels [N]."""
        return replace(self, labels=labels)

    @property
    def places(self) -> Tensor:
        """Each image's place among those that the source gave: int64 [N]."""
        return torch.arange(len(self)) if self.chosen is None else self.chosen

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the stored images."""
        return (self.images.shape[2], self.images.shape[3])

    def resized(self, size: tuple[int, int]) -> Tensor:
        """All images at `size` (h, w): uint8 [N, c, h, w], the stored tensor where it fits."""
        if size == self.size:
            return self.images
        return torch.cat([resize(part, size) for part in self.images.split(CHUNK)])


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear resize of uint8 [N, c, h, w] to uint8 [N, c, *size], on the CPU.

    Each image's result does not depend on the others, so that one at a time gives the same bits.
    """
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return functional.interpolate(
        images, size=size, mode="bilinear", align_corners=False, antialias=True
    )
