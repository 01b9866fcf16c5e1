"""Pyramid bins, averaged or maximised by operations that are deterministic on every device.

torch's adaptive pools have the same bins, but their CUDA backward adds atomically.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor


def bins(n: int, length: int) -> list[tuple[int, int]]:
    """Bin i of n over `length` is [⌊i·length/n⌋, ⌈(i+1)·length/n⌉) (He et al. 2014, sec. 3.1)."""
    # Only of what is not negative: ONNX rounds the quotient of whole numbers towards zero.
    return [(i * length // n, ((i + 1) * length + n - 1) // n) for i in range(n)]


def pyramid_max(features: Tensor, levels: Sequence[int]) -> Tensor:
    """Features `[B, C, H, W]` to the maximum of every bin, `[B, C, Σn²]`, level by level."""
    return _bin_by_bin(features, levels, torch.amax)


def pyramid_mean(features: Tensor, levels: Sequence[int]) -> Tensor:
    """Features `[B, C, H, W]` to the mean of every bin, `[B, C, Σn²]`, level by level.

    One matrix product does the whole pyramid.
    """
    height, width = features.shape[2:]
    if isinstance(height, torch.SymInt) or isinstance(width, torch.SymInt):
        # In an export for any size, of which no matrix can be made beforehand.
        return _bin_by_bin(features, levels, torch.mean)
    matrix = _mean_matrix(tuple(levels), height, width, features.device)
    # float32 even under autocast: 1/9 in bf16 is 0.2% off, and the product is small.
    with torch.autocast(features.device.type, enabled=False):
        return features.flatten(2).float() @ matrix


def _bin_by_bin(
    features: Tensor, levels: Sequence[int], reduce: Callable[[Tensor, int], Tensor]
) -> Tensor:
    height, width = features.shape[2:]
    cells = []
    for n in levels:
        rows = [reduce(features[:, :, top:bottom], 2) for top, bottom in bins(n, height)]
        for row in rows:
            cells += [reduce(row[:, :, left:right], 2) for left, right in bins(n, width)]
    return torch.stack(cells, dim=2)


@lru_cache(maxsize=64)
def _mean_matrix(levels: tuple[int, ...], height: int, width: int, device: torch.device) -> Tensor:
    # Made outside inference mode, or a first use in evaluation would make it unusable in training.
    with torch.inference_mode(False):
        columns = []
        for n in levels:
            for top, bottom in bins(n, height):
                for left, right in bins(n, width):
                    cell = torch.zeros(height, width)
                    cell[top:bottom, left:right] = 1 / ((bottom - top) * (right - left))
                    columns.append(cell.flatten())
        return torch.stack(columns, dim=1).to(device)
