"""RandAugment and TrivialAugment over whole batches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from gapfc.data.pixels import integers
from gapfc.data.policies.blends import colour, sharpness
from gapfc.data.policies.geometry import GEOMETRIC, maps, move
from gapfc.data.policies.space import OPERATIONS, RANDAUGMENT, STEPS, WIDE, Space
from gapfc.data.policies.tables import BY_TABLE, look_up, tables

POLICIES = ("none", "randaugment", "trivialaugment")
# Pixels that are changed at once: on a CPU, what its caches hold the intermediate results of.
PIECE = {"cpu": 2**18, "cuda": 2**30}


class Kind(IntEnum):
    """Operations of one kind are done together, whatever each is."""

    AS_IT_IS = 0
    MOVED = 1
    BY_TABLE = 2
    COLOUR = 3
    SHARPNESS = 4


KIND_OF = {
    "identity": Kind.AS_IT_IS,
    **dict.fromkeys(GEOMETRIC, Kind.MOVED),
    **dict.fromkeys(BY_TABLE, Kind.BY_TABLE),
    "colour": Kind.COLOUR,
    "sharpness": Kind.SHARPNESS,
}


@dataclass(frozen=True)
class Policy:
    """`times` operations for each image, one after the other, drawn with replacement.

    The images of a batch that drew operations of one kind are changed together, each with its own
    strength.

    Attributes:
        space: what the highest level is.
        times: operations for each image.
        level: 0..30, of every operation; None: drawn for each.
    """

    space: Space
    times: int
    level: int | None

    @property
    def numbers(self) -> int:
        """How many uniform numbers each image needs: operation, sign and perhaps level."""
        return self.times * self._each

    @property
    def _each(self) -> int:
        return 3 if self.level is None else 2

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """images: uint8 [B, c, h, w]; random: float32 [B, numbers] -> uint8 [B, c, h, w]."""
        # On the CPU, where sin and cos are the same whatever device the images are on.
        for drawn in random.cpu().split(self._each, dim=1):
            choice = integers(drawn[:, 0], len(OPERATIONS))
            level = drawn.new_full((len(drawn),), self.level or 0).double()
            if self.level is None:
                level = integers(drawn[:, 2], STEPS + 1).double()
            sign = torch.where(drawn[:, 1] < 0.5, -1.0, 1.0).double()
            images = self.apply(images, choice, level / STEPS * sign)
        return images

    def apply(self, images: Tensor, choice: Tensor, strength: Tensor) -> Tensor:
        """One operation for each image.

        images: uint8 [B, c, h, w]. choice: places in OPERATIONS, int64 [B]. strength: float64 [B],
        from -1 to 1; the sign is that of shears, moves, rotations and factors. Both on the CPU.
        """
        space, device = self.space, images.device
        kinds = torch.tensor([KIND_OF[name] for name in OPERATIONS])[choice]
        parts: list[Tensor] = []
        order: list[Tensor] = []
        together = max(1, PIECE[device.type] // (images.shape[2] * images.shape[3]))
        alike = [(kind, (kinds == kind).nonzero()[:, 0].split(together)) for kind in Kind]
        for kind, rows in ((kind, rows) for kind, pieces in alike for rows in pieces if len(rows)):
            part = images.index_select(0, rows.to(device))
            drawn, strong = choice[rows], strength[rows]
            if kind is Kind.MOVED:
                part = move(part, maps(drawn, strong, space, *images.shape[2:]))
            elif kind is Kind.BY_TABLE:
                part = look_up(part, tables(part, drawn, strong, space))
            elif kind is not Kind.AS_IT_IS:
                factor = (1 + strong * space.factor).float().to(device)
                part = (colour if kind is Kind.COLOUR else sharpness)(part, factor)
            parts.append(part)
            order.append(rows)
        # Copies of whole images: writing each part into place takes 8 times as long.
        back = torch.cat(order).argsort().to(device)
        return torch.cat(parts).index_select(0, back)


def randaugment(operations: int, magnitude: int) -> Policy:
    """RandAugment (Cubuk et al. 2020): `operations` for each image, all at level `magnitude`."""
    return Policy(RANDAUGMENT, operations, magnitude)


def trivialaugment() -> Policy:
    """TrivialAugment, Wide (Müller & Hutter 2021): one operation for each image, at any level."""
    return Policy(WIDE, 1, None)
