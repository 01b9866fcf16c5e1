"""Does a model still see the same when the object has moved?"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gapfc.probes.seeded import per_image
from gapfc.probes.subject import Finding, Subject, right, same

# (down, right)
DIRECTIONS = {"down": (1, 0), "up": (-1, 0), "right": (0, 1), "left": (0, -1)}
KINDS = ("zero", "circular")


def shift(subject: Subject) -> Finding:
    """All images moved by 1, 2, 4, 8, … pixels, up to a quarter of the shorter side.

    `zero.<n>`: what comes in is black (pixel 0 before normalisation), what leaves is lost.
    `circular.<n>`: what leaves comes in at the other side.
    Each is the mean over the four directions of:
    accuracy; drop: accuracy of the unmoved images minus this; ece;
    consistency: share of predictions that stay as on the unmoved image, right or wrong.

    pair_consistency: share of images in which the model sees the same under two random shifts, each
        of up to an eighth of the side both ways, black coming in. After Zhang 2019
        (arXiv:1904.11486, sec. 4.1), who shifts by cropping out of a larger photo.
    """
    values: dict[str, Any] = {}
    yes: dict[str, NDArray[np.bool_]] = {}
    side = min(subject.input_size)
    distances = [2**power for power in range(side.bit_length()) if 2**power <= side // 4]
    for kind in KINDS:
        values[kind] = {}
        for n in distances:
            moved = [
                subject.measure(
                    f"shift.{kind}.{n}.{name}",
                    partial(_move, down=n * down, right=n * across, circular=kind == "circular"),
                )
                for name, (down, across) in DIRECTIONS.items()
            ]
            path = f"{kind}.{n}"
            yes[f"{path}.accuracy"] = np.stack([right(found) for found in moved])
            yes[f"{path}.consistency"] = np.stack([same(found, subject.clean) for found in moved])
            accuracy = float(yes[f"{path}.accuracy"].mean())
            values[kind][str(n)] = {
                "accuracy": accuracy,
                "consistency": float(yes[f"{path}.consistency"].mean()),
                "drop": subject.clean["accuracy"] - accuracy,
                "ece": sum(found["ece"] for found in moved) / len(moved),
            }
    one, other = (
        subject.measure(f"shift.pair.{number}", partial(_move_at_random, number=number))
        for number in (0, 1)
    )
    yes["pair_consistency"] = same(one, other)[None]
    values["pair_consistency"] = float(yes["pair_consistency"].mean())
    return Finding(values, yes)


def _move(images: Tensor, places: Tensor, down: int, right: int, circular: bool) -> Tensor:
    """uint8 [B, c, h, w], all moved alike; negative numbers move up and left."""
    moved = images.roll((down, right), (2, 3))
    if not circular:
        moved[:, :, _came_in(down)] = 0
        moved[:, :, :, _came_in(right)] = 0
    return moved


def _came_in(distance: int) -> slice:
    return slice(0, distance) if distance >= 0 else slice(distance, None)


def _move_at_random(images: Tensor, places: Tensor, number: int) -> Tensor:
    """Each image by its own draw, the first or the second of the pair. number: 0 or 1."""
    height, width = images.shape[2:]
    most = min(height, width) // 8
    draws = per_image(
        places, lambda random: torch.randint(0, 2 * most + 1, (2, 2), generator=random)
    )
    top, left = draws[:, number].unbind(1)
    framed = functional.pad(images, (most,) * 4)
    rows = top[:, None] + torch.arange(height)
    columns = left[:, None] + torch.arange(width)
    image = torch.arange(len(images))[:, None, None]
    # Advanced indices apart from each other put the channels last.
    return framed[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
