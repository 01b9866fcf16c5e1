"""Coloured shapes on textured ground, each at a known box, generated from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn import functional

from gapfc.data.arrays import Arrays
from gapfc.data.raw_dataset import RawDataset
from gapfc.errors import UserError
from gapfc.validators import alternatives, as_typed, flag, list_of, one_of, whole

SHAPES = ("circle", "square", "triangle", "cross", "ring", "diamond")
QUADRANTS = ("top_left", "top_right", "bottom_left", "bottom_right")
CHUNK = 1000


def synthetic_shapes(
    data_root: Path,
    label: str = "shape",
    size: int = 32,
    train_images: int = 4000,
    test_images: int = 1000,
    seed: int = 0,
    holdout_quadrants: Sequence[str] = (),
    seamless: bool = False,
) -> RawDataset:
    """One shape an image, of any colour, 30 to 50 % of the side wide, wholly inside one quadrant.

    label: what to learn, "shape" or the "quadrant" it is in; the other is independent
    of it. The splits' `boxes` hold the object's (left, top, right, bottom) in pixels.
    holdout_quadrants: of the images drawn, those with the object there are left out of training and
    are the only ones of the test split, which then asks whether a shape is known at places where it
    was never trained on (after Kayhan & van Gemert 2020, arXiv:2003.07064).
    seamless: whether the ground goes on beyond a border as it begins at the opposite one, and is
    alike at all places. Otherwise a network with circular padding sees a seam, and so where it is.
    Raises UserError for values out of range, or where nothing is left of a split.
    """
    one_of("dataset.label", label, ("shape", "quadrant"))
    flag("dataset.seamless", seamless)
    whole("dataset.size", size, 16, takes="16 pixels or more")
    whole("dataset.seed", seed, 0)
    whole("dataset.train_images", train_images, 1)
    whole("dataset.test_images", test_images, 1)
    held = list_of(
        "dataset.holdout_quadrants",
        holdout_quadrants,
        lambda name: name in QUADRANTS,
        f"a list of {alternatives(QUADRANTS)}, or []",
        empty=True,
    )
    if held and label == "quadrant":
        raise UserError(
            "dataset.label=quadrant asks for the quadrants that dataset.holdout_quadrants would "
            "never show in training: take dataset.label=shape, or dataset.holdout_quadrants=[]."
        )
    # Split by split, so that asking for more training images does not change the test images.
    train, test = (
        _draw(count, size, label, seamless, Generator().manual_seed(2 * seed + part))
        for part, count in enumerate((train_images, test_images))
    )
    if held:
        train, test = _where(train, set(QUADRANTS) - set(held)), _where(test, set(held))
        if not len(train) or not len(test):
            raise UserError(
                f"dataset.holdout_quadrants={as_typed(list(held))} leaves {len(train)} training "
                f"and {len(test)} test images: name fewer quadrants, or raise "
                "dataset.train_images or dataset.test_images."
            )
    return RawDataset(SHAPES if label == "shape" else QUADRANTS, train, test=test)


def quadrants(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Where the centres of boxes [N, 4] are in images of `size` (h, w): int64 [N], of QUADRANTS."""
    height, width = size
    left, top, right, bottom = boxes.unbind(1)
    return (left + right >= width).long() + 2 * (top + bottom >= height).long()


def _where(split: Arrays, chosen: set[str]) -> Arrays:
    """The images whose object is in one of the `chosen` quadrants."""
    assert split.boxes is not None
    places = quadrants(split.boxes, split.size)
    wanted = torch.tensor([QUADRANTS.index(name) for name in chosen], dtype=torch.int64)
    return split.take(torch.isin(places, wanted).nonzero().flatten())


def _draw(count: int, size: int, label: str, seamless: bool, generator: Generator) -> Arrays:
    # Balanced over both labels at once, then shuffled.
    order = torch.randperm(count, generator=generator)
    shape = order % len(SHAPES)
    quadrant = order // len(SHAPES) % len(QUADRANTS)
    half = size / 2
    side = (size * (0.3 + 0.2 * torch.rand(count, generator=generator))).floor()
    room = half - side
    corner = (torch.rand(count, 2, generator=generator) * (room[:, None] + 1)).floor()
    corner = torch.minimum(corner, room[:, None].floor())
    origin = torch.stack([quadrant % 2, quadrant // 2], dim=1) * math.ceil(half)
    left_top = origin + corner
    boxes = torch.cat([left_top, left_top + side[:, None]], dim=1)
    images = torch.cat(
        [
            _paint(boxes[rows], shape[rows], size, seamless, generator)
            for rows in torch.arange(count).split(CHUNK)
        ]
    )
    return Arrays(images, shape if label == "shape" else quadrant, boxes)


def _paint(boxes: Tensor, shape: Tensor, size: int, seamless: bool, generator: Generator) -> Tensor:
    """boxes: [n, 4]; shape: int64 [n] -> uint8 [n, 3, size, size]."""
    count = len(boxes)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    if seamless:
        ground = _enlarged_on_a_torus(coarse, size, generator)
    else:
        ground = functional.interpolate(coarse, size=(size, size), mode="bilinear")
    ground = 0.2 + 0.6 * ground + 0.1 * torch.randn(count, 3, size, size, generator=generator)
    # A colour at least 0.35 from the ground's mean in some channel, or the shape could vanish.
    colour = torch.rand(count, 3, generator=generator)
    mean = ground.mean(dim=(2, 3))
    away = torch.where(mean < 0.5, mean + 0.4, mean - 0.4)
    near = (colour - mean).abs().amax(dim=1) < 0.35
    colour = torch.where(near[:, None], away, colour)[:, :, None, None]
    inside = _mask(boxes, shape, size)[:, None]
    return torch.where(inside, colour, ground).clamp(0, 1).mul(255).round().to(torch.uint8)


def _enlarged_on_a_torus(coarse: Tensor, size: int, generator: Generator) -> Tensor:
    """Bilinearly, [n, 3, c, c] -> [n, 3, size, size], each border next to the opposite one.

    Each is turned by a random number of pixels either way, or the lattice of the c×c values, at the
    same place in all images, would tell where one is.
    """
    count, cells = len(coarse), coarse.shape[-1]
    at = (torch.arange(size) + 0.5) * cells / size - 0.5
    first = at.floor()
    share = (at - first)[:, None]
    low, high = (functional.one_hot((first.long() + n) % cells, cells) for n in (0, 1))
    matrix = low * (1 - share) + high * share
    turns = torch.randint(size, (2, count, 1), generator=generator)
    rows, columns = matrix[(torch.arange(size) + turns) % size]
    return rows[:, None] @ coarse @ columns[:, None].mT


def _mask(boxes: Tensor, shape: Tensor, size: int) -> Tensor:
    """Pixels that belong to the object: bool [n, size, size]; they touch all sides of the box."""
    centre = torch.arange(size) + 0.5
    left, top, right, _ = boxes.unbind(dim=1)
    half = (right - left)[:, None, None] / 2
    x = (centre[None, None, :] - left[:, None, None]) / half - 1  # -1 .. 1 within the box
    y = (centre[None, :, None] - top[:, None, None]) / half - 1
    step = 1 / half  # one pixel's half width more, so that the outermost pixels are painted
    radius = (x**2 + y**2).sqrt()
    box = (x.abs() <= 1) & (y.abs() <= 1)
    masks = torch.stack(
        torch.broadcast_tensors(
            radius <= 1,
            box,
            x.abs() <= (y + 1) / 2 + step / 2,
            (x.abs() <= 0.35 + step / 2) | (y.abs() <= 0.35 + step / 2),
            (radius <= 1) & (radius >= 0.55),
            x.abs() + y.abs() <= 1 + step / 2,
        ),
        dim=1,
    )
    return masks[torch.arange(len(boxes)), shape] & box
