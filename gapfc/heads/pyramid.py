"""Pyramid bins, averaged or maximised by operations that are deterministic on every device.

torch's adaptive pools have the same bins, but their CUDA backward adds atomically.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional


def bins(n: int, length: int) -> list[tuple[int, int]]:
    """Bin i of n over `length` is [⌊i·length/n⌋, ⌈(i+1)·length/n⌉) (He et al. 2014, sec. 3.1)."""
    return [(i * length // n, -(-(i + 1) * length // n)) for i in range(n)]


def pyramid_max(features: Tensor, levels: Sequence[int]) -> Tensor:
    """Features `[B, C, H, W]` to the maximum of every bin, `[B, C, Σn²]`, level by level."""
    if _any_size(features):
        return _masked_max(features, levels)
    if not (features.requires_grad or torch.compiler.is_compiling()):
        # The same values, several times as fast; it is only their gradient that varies.
        pooled = [functional.adaptive_max_pool2d(features, n).flatten(2) for n in levels]
        return torch.cat(pooled, dim=2)
    height, width = features.shape[2:]
    cells = []
    for n in levels:
        rows = [features[:, :, top:bottom].amax(2) for top, bottom in bins(n, height)]
        for row in rows:
            cells += [row[:, :, left:right].amax(2) for left, right in bins(n, width)]
    return torch.stack(cells, dim=2)


def pyramid_mean(features: Tensor, levels: Sequence[int]) -> Tensor:
    """Features `[B, C, H, W]` to the mean of every bin, `[B, C, Σn²]`, level by level.

    One matrix product does the whole pyramid.
    """
    if _any_size(features):
        return _two_sided_mean(features, levels)
    height, width = features.shape[2:]
    matrix = _mean_matrix(tuple(levels), height, width, features.device)
    # float32 even under autocast: 1/9 in bf16 is 0.2% off, and the product is small.
    with torch.autocast(features.device.type, enabled=False):
        return features.flatten(2).float() @ matrix


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


# In an export for any size, height and width are symbols: they can't bound a loop, and where a bin
# may have one row or many, no slice may depend on it. There, with the same bins:


def _any_size(features: Tensor) -> bool:
    return any(isinstance(side, torch.SymInt) for side in features.shape[2:])


def _masked_max(features: Tensor, levels: Sequence[int]) -> Tensor:
    height, width = features.shape[2:]
    pooled = []
    for n in levels:
        inside = [_inside(n, side, features.device) for side in (height, width)]
        rows = features.unsqueeze(2).where(inside[0][:, :, None], -torch.inf).amax(3)
        cells = rows.unsqueeze(3).where(inside[1], -torch.inf).amax(4)
        pooled.append(cells.flatten(2))
    return torch.cat(pooled, dim=2)


def _two_sided_mean(features: Tensor, levels: Sequence[int]) -> Tensor:
    height, width = features.shape[2:]
    pooled = []
    for n in levels:
        inside = [_inside(n, side, features.device).float() for side in (height, width)]
        rows, columns = (each / each.sum(1, keepdim=True) for each in inside)
        pooled.append((rows @ features.float() @ columns.T).flatten(2))
    return torch.cat(pooled, dim=2)


def _inside(n: int, length: int, device: torch.device) -> Tensor:
    """bool `[n, length]`: whether a place is in a bin: [p, p+1) overlaps [i·a/n, (i+1)·a/n)."""
    place = torch.arange(length, device=device)
    i = torch.arange(n, device=device)[:, None]
    return (n * (place + 1) > i * length) & (n * place < (i + 1) * length)
