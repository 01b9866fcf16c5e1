"""Which images an epoch's batches hold: a function of (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from gapfc.data.sizes import Size
from gapfc.errors import UserError

BALANCED = "balanced"
SAMPLERS = ("shuffle", BALANCED)


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


class BalancedOrder:
    """Each class equally often, in as many batches of `batch_size` as FixedOrder has.

    In an epoch the classes' numbers differ by 1 at most, and within a class those of its images:
    images of rare classes recur, and of frequent ones some are left out, others each epoch.
    Classes without images are left out.
    """

    def __init__(self, labels: Tensor, batch_size: int) -> None:
        """labels: of the images, int64 [N]."""
        labels = labels.cpu()
        self.batch_size = min(batch_size, len(labels))
        self.steps = len(labels) // self.batch_size
        self._classes = [(labels == k).nonzero()[:, 0] for k in labels.unique()]

    def batches(self, generator: Generator) -> list[Tensor]:
        """Image numbers of each batch: `steps` tensors int64 [batch_size]."""
        total, classes = self.steps * self.batch_size, len(self._classes)
        each, more = divmod(total, classes)
        once_more = set(torch.randperm(classes, generator=generator)[:more].tolist())
        chosen: list[Tensor] = []
        for number, images in enumerate(self._classes):
            whole, rest = divmod(each + (number in once_more), len(images))
            some = torch.randperm(len(images), generator=generator)[:rest]
            chosen += [images.repeat(whole), images[some]]
        order = torch.cat(chosen)[torch.randperm(total, generator=generator)]
        return list(order.split(self.batch_size))


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


Order = FixedOrder | BalancedOrder | SizedOrder


def choose_order(
    labels: Tensor, sizes: Sequence[Size] | None, batch_size: int, sampler: str
) -> Order:
    """The order that `dataset.sampler` asks for.

    labels: of the images, int64 [N]; sizes: of each, None if all are of one.
    Raises UserError for balanced with images of many sizes: batches of one size each cannot hold
    all classes equally often.
    """
    if sampler == BALANCED and sizes is not None:
        raise UserError(
            "dataset.sampler=balanced needs images of one size: set dataset.image_size=n|[h, w], "
            "or take trainer.class_weights=balanced, which works with dataset.image_size=native "
            "too."
        )
    if sampler == BALANCED:
        return BalancedOrder(labels, batch_size)
    if sizes is not None:
        return SizedOrder(sizes, batch_size)
    return FixedOrder(len(labels), batch_size)


def group_by_size(sizes: Sequence[Size]) -> list[Tensor]:
    """Image numbers of each size (int64 [n]), smallest size first."""
    groups: dict[Size, list[int]] = {}
    for number, size in enumerate(sizes):
        groups.setdefault(size, []).append(number)
    return [torch.tensor(groups[size]) for size in sorted(groups)]
