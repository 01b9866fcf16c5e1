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
        self._scale = (1 / (255 * deviation)).float().to(device)
        self._offset = (-torch.tensor(mean, dtype=torch.float64) / deviation).float().to(device)
        equal = len(set(mean)) == len(set(std)) == 1
        # The same for all channels, as numbers, so that no tensor has to be read at every batch.
        self._grey = (self._scale[0].item(), self._offset[0].item()) if equal else None
        self._channels_last = channels_last

    def __call__(self, images: Tensor) -> Tensor:
        """images: uint8 [B, 1 or 3, h, w] on the device -> float32 [B, 3, h, w]."""
        if images.shape[1] == 1 and self._grey is not None:
            grey = (images * self._grey[0]).add_(self._grey[1])
            if self._channels_last:  # stacking is a little faster than expanding
                return torch.stack([grey[:, 0]] * 3, dim=3).permute(0, 3, 1, 2)
            return grey.expand(-1, 3, -1, -1).contiguous()
        images = images.expand(-1, 3, -1, -1)
        if not self._channels_last:
            scale, offset = self._scale.view(3, 1, 1), self._offset.view(3, 1, 1)
            return images.float().mul_(scale).add_(offset)
        # One row of interleaved pixels at a time: broadcasting over 3 channels is 4 times slower.
        count, _, height, width = images.shape
        rows = images.permute(0, 2, 3, 1).reshape(count * height, width * 3)
        result = (rows * self._scale.repeat(width)).add_(self._offset.repeat(width))
        return result.view(count, height, width, 3).permute(0, 3, 1, 2)
