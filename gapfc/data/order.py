"""Which images an epoch's batches hold: a function of (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from gapfc.data.sizes import Size


def epoch_generator(seed: int, epoch: int) -> Generator:
    """A separate CPU generator for one epoch of one seed."""
    state = np.random.SeedSequence([seed % 2**64, epoch]).generate_state(2, np.uint32)
    return Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


class FixedOrder:
    """Every image once, in batches of `batch_size`.

    The last, partial batch is dropped unless it is the only one.
    """

    def __init__(self, count: int, batch_size: int) -> None:
        self._count = count
        self.batch_size = min(batch_size, count)
        self.steps = count // self.batch_size

    def batches(self, generator: Generator) -> list[Tensor]:
        """Image numbers of each batch: `steps` tensors int64 [batch_size]."""
        order = torch.randperm(self._count, generator=generator)
        return list(order[: self.steps * self.batch_size].split(self.batch_size))


class SizedOrder:
    """Batches of images of one size each; partial batches are kept, or rare sizes would vanish."""

    def __init__(self, sizes: Sequence[Size], batch_size: int) -> None:
        self.batch_size = batch_size
        self._groups = group_by_size(sizes)
        self.steps = sum(-(-len(group) // batch_size) for group in self._groups)

    def batches(self, generator: Generator) -> list[Tensor]:
        """Image numbers of each batch, shuffled within a size; then the batches are shuffled."""
        batches: list[Tensor] = []
        for group in self._groups:
            shuffled = group[torch.randperm(len(group), generator=generator)]
            batches.extend(shuffled.split(self.batch_size))
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def group_by_size(sizes: Sequence[Size]) -> list[Tensor]:
    """Image numbers of each size (int64 [n]), smallest size first."""
    groups: dict[Size, list[int]] = {}
    for number, size in enumerate(sizes):
        groups.setdefault(size, []).append(number)
    return [torch.tensor(groups[size]) for size in sorted(groups)]
