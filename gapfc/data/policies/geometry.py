"""Rotated, sheared and moved images: a batch at once, each by a map of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gapfc.data.policies.space import OPERATIONS, Space

GEOMETRIC = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
BITS = 16  # after the point: as Pillow's, in whole numbers, so that every device picks one pixel


def maps(choice: Tensor, strength: Tensor, space: Space, height: int, width: int) -> Tensor:
    """Where each pixel of the result comes from.

    Args:
        choice: places in OPERATIONS, of GEOMETRIC, int64 [B].
        strength: from -1 to 1, float64 [B].
        space: what a strength of 1 is.
        height, width: of the images.

    Returns:
        float64 [B, 2, 3]: column and row are this times (column, row, 1). Shears keep the upper
        left corner, rotations the middle, as torchvision's RandAugment has it.
    """
    found = torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=torch.float64).repeat(len(choice), 1, 1)

    def chosen(name: str) -> tuple[Tensor, Tensor]:
        rows = (choice == OPERATIONS.index(name)).nonzero()[:, 0]
        return rows, strength[rows]

    for axis, name in enumerate(("shear_x", "shear_y")):
        rows, amount = chosen(name)
        found[rows, axis, 1 - axis] = amount * space.shear
        found[rows, axis, 2] = amount * space.shear / 2  # an edge is half a pixel from its middle
    for axis, (name, side) in enumerate((("translate_x", width), ("translate_y", height))):
        rows, amount = chosen(name)
        found[rows, axis, 2] = -(amount * space.reach(side)).trunc()
    rows, amount = chosen("rotate")
    angle = amount * math.radians(space.degrees)
    cos, sin = angle.cos(), angle.sin()
    x, y = (width - 1) / 2, (height - 1) / 2
    found[rows, 0] = torch.stack([cos, -sin, x - cos * x + sin * y], dim=1)
    found[rows, 1] = torch.stack([sin, cos, y - sin * x - cos * y], dim=1)
    return found


def move(images: Tensor, maps: Tensor) -> Tensor:
    """Each pixel from the nearest one that `maps` [B, 2, 3] names; black from outside.

    images: uint8 [B, c, h, w] -> the same.
    """
    count, channels, height, width = images.shape
    fixed = maps.clone()
    fixed[:, :, 2] += 0.5  # the floor is then the nearest
    whole = (fixed * 2**BITS).round().int().to(images.device)[..., None, None]
    columns = torch.arange(width, dtype=torch.int32, device=images.device)[None, None, :]
    rows = torch.arange(height, dtype=torch.int32, device=images.device)[None, :, None]

    def source(axis: int, length: int) -> Tensor:
        across, down, offset = whole[:, axis].unbind(dim=1)
        position = (across * columns) + (down * rows + offset)
        # A black border of one pixel is all that lies outside.
        return position.bitwise_right_shift_(BITS).clamp_(-1, length).add_(1)

    place = source(1, height).mul_(width + 2).add_(source(0, width)).long()
    framed = torch.nn.functional.pad(images, (1, 1, 1, 1)).flatten(2)
    index = place.flatten(1)[:, None].expand(count, channels, height * width)
    return framed.gather(2, index).view(images.shape)
