"""What several random changes to images share."""

from __future__ import annotations

import torch
from torch import Tensor

# ITU-R 601-2, in thousandths, as Pillow and torchvision weigh red, green and blue.
LUMA = (299, 587, 114)


def integers(random: Tensor, count: int) -> Tensor:
    """Uniform [0, 1) -> whole numbers 0 .. count - 1 (int64)."""
    return (random * count).long().clamp_(max=count - 1)


def luma(images: Tensor) -> Tensor:
    """How bright each pixel is, rounded down: uint8 [B, c, h, w] -> float32 [B, h, w], 0..255.

    All sums are whole numbers below 2^24, so that every device gives the same.
    """
    if images.shape[1] != 3:
        return images[:, 0].float()
    red, green, blue = (images[:, c].float().mul_(weight) for c, weight in enumerate(LUMA))
    # The half keeps 1000 times a whole number from being rounded to just below it.
    return red.add_(green).add_(blue).add_(0.5).div_(1000).floor_()


def mean_luma(images: Tensor) -> Tensor:
    """The mean of `luma` over each image: float32 [B]."""
    grey = luma(images)
    total = grey.sum(dim=(1, 2), dtype=torch.float64)  # exact, in whatever order
    return (total / (grey.shape[1] * grey.shape[2])).float()
