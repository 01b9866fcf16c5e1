"""From uint8 pixels to what a network takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Normalize:
    """uint8 [B, 1 or 3, h, w] -> float32 [B, 3, h, w]: (pixel / 255 - mean) / std.

    mean, std: 3 values each, in units of [0, 1]. Grey images become three channels here. One
    rounded multiplication and one rounded addition, so that every device gives the same bits.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        channels_last: bool,
    ) -> None:
        deviation = torch.tensor(std, dtype=torch.float64)
        scale = 1 / (255 * deviation)
        offset = -torch.tensor(mean, dtype=torch.float64) / deviation
        self._scale = scale.float().view(1, 3, 1, 1).to(device)
        self._offset = offset.float().view(1, 3, 1, 1).to(device)
        self._same = len(set(mean)) == 1 and len(set(std)) == 1
        self._format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, images: Tensor) -> Tensor:
        """images: uint8 [B, 1 or 3, h, w] on the device -> float32 [B, 3, h, w]."""
        if images.shape[1] == 1 and self._same:
            grey = (images * self._scale[:, :1]).add_(self._offset[:, :1])
            return grey.expand(-1, 3, -1, -1).contiguous(memory_format=self._format)
        pixels = images.contiguous(memory_format=self._format)
        return (pixels * self._scale).add_(self._offset).contiguous(memory_format=self._format)
