"""What lies beyond the border of a map: zeros, or its opposite side."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from gapfc.validators import one_of

# As torch's convolutions call them (`padding_mode`).
Padding = Literal["zeros", "circular"]


def check_padding(padding: str) -> None:
    """Raise UserError unless `padding` is one of `Padding`."""
    one_of("backbone.padding", padding, get_args(Padding))


class CircularPool(nn.Module):
    """A pool whose windows beyond the border see the opposite side, `[B, C, H, W]` as `pool` gives.

    Without it a pool's padding, and the smaller windows of `ceil_mode`, would tell a network where
    the border is, which circular padding of its convolutions is meant to hide.
    """

    def __init__(self, pool: nn.MaxPool2d | nn.AvgPool2d) -> None:
        """`pool`: with sizes as pairs or as numbers; it gives up its padding and ceil_mode."""
        super().__init__()
        sizes = (pool.kernel_size, pool.stride, pool.padding, getattr(pool, "dilation", 1))
        kernel, stride, padding, dilation = (
            (size, size) if isinstance(size, int) else tuple(size) for size in sizes
        )
        self.ceil_mode = pool.ceil_mode
        self.axes = [
            (d * (k - 1) + 1, s, p)
            for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True)
        ]
        self.pool = pool
        pool.padding, pool.ceil_mode = 0, False

    def forward(self, features: Tensor) -> Tensor:
        """features: `[B, C, H, W]` -> `[B, C, H', W']`."""
        (top, bottom), (left, right) = (
            self._beyond(side, *axis)
            for side, axis in zip(features.shape[-2:], self.axes, strict=True)
        )
        around = (left, right, top, bottom)
        if any(around):
            features = functional.pad(features, around, mode="circular")
        pooled: Tensor = self.pool(features)
        return pooled

    def _beyond(self, side: int, window: int, stride: int, padding: int) -> tuple[int, int]:
        """How far windows reach over a side: in front of it and behind it, in pixels."""
        after = padding
        if self.ceil_mode:
            if isinstance(side, torch.SymInt) and stride + padding <= window:
                # In an export for any size: as much as there may be. What fills no window is
                # left out by the pool, which rounds down.
                return padding, after + stride - 1
            partial = -(side + 2 * padding - window) % stride
            # As torch: no window starts behind the map.
            if side + 2 * padding + partial - window < side + padding:
                after += partial
        return padding, after
