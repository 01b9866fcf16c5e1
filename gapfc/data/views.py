"""A few augmented views of each image, instead of a new one in every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from gapfc.data.augment import Augmentation
from gapfc.data.reader import ALL, Chunk, Reader
from gapfc.data.sizes import Size


class Views:
    """The same views of an image for every seed, epoch and head; an epoch shows one of them.

    So what a frozen backbone makes of them can be computed once (gapfc.features).

    Args:
        augmentation: what makes a view of an image.
        count: views of each image, 1 or more.
        images: how many images there are.
    """

    def __init__(self, augmentation: Augmentation, count: int, images: int) -> None:
        self.augmentation = augmentation
        self.count = count
        self._images = images

    def random(self, view: int) -> Tensor:
        """What the augmentation takes to make view number `view` of every image: [images, n]."""
        return self.augmentation.draw(self._images, Generator().manual_seed(view))

    def choose(self, count: int, generator: Generator) -> Tensor:
        """The view that each of the next `count` images is shown in: int64 [count]."""
        return torch.randint(self.count, (count,), generator=generator)

    def draw(self, order: Tensor, generator: Generator) -> Tensor:
        """What the augmentation takes for images `order` (int64 [n]), each in a view by chance."""
        chosen = self.choose(len(order), generator)
        random = self.augmentation.draw(len(order), generator)
        for view in chosen.unique().tolist():
            shown = chosen == view
            random[shown] = self.random(view)[order[shown]]
        return random


class InView:
    """A reader that gives every image in view number `view` of `views`."""

    def __init__(self, images: Reader, views: Views, view: int) -> None:
        self._images = images
        self.labels = images.labels
        self._augmentation = views.augmentation
        self._random = views.random(view)
        self.sizes: list[Size] | None = None  # none changes it

    def __len__(self) -> int:
        return len(self._images)

    def read(self, batches: Sequence[Tensor]) -> Iterator[Chunk]:
        """See Reader."""
        order = torch.cat(list(batches))
        for chunk in self._images.read(batches):
            numbers = order[chunk.rows if isinstance(chunk.rows, slice) else chunk.rows.cpu()]
            yield replace(chunk, images=self._show(chunk.images, numbers))

    def in_order(
        self, batch_size: int, part: slice = ALL
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """See Reader."""
        every = torch.arange(len(self)).split(batch_size)[part]
        batches = self._images.in_order(batch_size, part)
        for numbers, (images, labels, places) in zip(every, batches, strict=True):
            # Of a streamed set damaged images may be missing.
            yield self._show(images, numbers[: len(labels)]), labels, places

    def _show(self, images: Tensor, numbers: Tensor) -> Tensor:
        return self._augmentation(images, self._random[numbers].to(images.device))
