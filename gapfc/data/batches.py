"""The batches a network is trained on and measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gapfc.data.augment import Augmentation
from gapfc.data.normalize import Normalize
from gapfc.data.order import Order, epoch_generator
from gapfc.data.reader import Chunk, Reader
from gapfc.data.sizes import Size
from gapfc.data.views import Views
from gapfc.ranks.ranks import ALONE, Ranks

Batch = tuple[Tensor, Tensor]


class TrainingBatches:
    """Shuffled, augmented, normalised training batches: a function of (seed, epoch) alone.

    steps: batches in an epoch. train_sizes: one (h, w) per epoch, in turn; () for the reader's own.
    views: where there are only so many of each image; None: a new one in every epoch. ranks: among
    whom each batch is divided; what it holds, and how that is augmented, does not depend on them.
    """

    def __init__(
        self,
        images: Reader,
        order: Order,
        augmentation: Augmentation,
        normalize: Normalize,
        train_sizes: Sequence[Size],
        seed: int,
        device: torch.device,
        views: Views | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._images = images
        self._order = order
        self._views = views
        self._augmentation = augmentation
        self._normalize = normalize
        self._train_sizes = tuple(train_sizes)
        self._seed = seed
        self._device = device
        self._ranks = ranks
        self.steps = order.steps
        self.weight = ranks.weight(order.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches start.. of `epoch` (counted from 0), on the device; of each this rank's part.

        Each is (images: float32 [B, 3, h, w], labels: int64 [B]).
        """
        for images, chunk in self._augmented(epoch, start, self._ranks):
            # All batches of the chunk at once: for small batches a call costs as much as its
            # pixels.
            yield from zip(
                self._normalize(images).split(chunk.lengths),
                chunk.labels.split(chunk.lengths),
                strict=True,
            )

    def preview(self, count: int) -> Tensor:
        """Up to `count` images of the first batches of epoch 0: float32 [n, 3, h, w] in [0, 1].

        Augmented, not normalised, on the CPU, all of one size.
        """
        found: list[Tensor] = []
        for images, _ in self._augmented(0, 0, ALONE, last=-(-count // self._order.batch_size)):
            if found and found[0].shape[1:] != images.shape[1:]:
                break
            found.append(images)
        images = torch.cat(found)[:count]
        return images.expand(-1, 3, -1, -1).float().div(255).cpu()

    def _augmented(
        self, epoch: int, start: int, ranks: Ranks, last: int | None = None
    ) -> Iterator[tuple[Tensor, Chunk]]:
        generator = epoch_generator(self._seed, epoch)
        batches = self._order.batches(generator)
        order = torch.cat(batches)
        if self._views is None:
            random = self._augmentation.draw(len(order), generator)
        else:
            random = self._views.draw(order, generator)
        if ranks.size > 1:
            kept = [ranks.share(len(batch)) for batch in batches]
            places = torch.arange(len(order)).split([len(batch) for batch in batches])
            random = random[torch.cat([each[own] for each, own in zip(places, kept, strict=True)])]
            batches = [batch[own] for batch, own in zip(batches, kept, strict=True)]
        skipped = sum(map(len, batches[:start]))
        random = random[skipped:].to(self._device)
        size = self._train_sizes[epoch % len(self._train_sizes)] if self._train_sizes else None
        for chunk in self._images.read(batches[start:last]):
            yield _shrink(self._augmentation(chunk.images, random[chunk.rows]), size), chunk


def _shrink(images: Tensor, size: Size | None) -> Tensor:
    """uint8 [B, c, h, w] to a smaller `size`, antialiased, on the device."""
    if size is None or tuple(images.shape[2:]) == size:
        return images
    smaller = functional.interpolate(
        images.float(), size=size, mode="bilinear", align_corners=False, antialias=True
    )
    return smaller.round_().clamp_(0, 255).byte()


class EvaluationBatches:
    """Normalised images in a fixed order; may be iterated again and again.

    check: called after each batch, and may raise to stop there. ranks: who have the batches in
    turn; all of them check equally often.
    """

    def __init__(
        self,
        images: Reader,
        batch_size: int,
        normalize: Normalize,
        check: Callable[[], None] = lambda: None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._images = images
        self._batch_size = batch_size
        self._normalize = normalize
        self._check = check
        self._ranks = ranks
        self.parts: list[Tensor] = []

    @property
    def places(self) -> Tensor:
        """Of the images that the latest pass has given so far, in its order: int64 [N].

        Each one's place among those that the source gave, whatever was left out since. They are the
        `parts` of its batches in one.
        """
        return torch.cat(self.parts)

    def __iter__(self) -> Iterator[Batch]:
        self.parts = []
        for images, labels, places in self._images.in_order(self._batch_size, self._ranks.turns):
            self.parts.append(places)
            yield self._normalize(images), labels
            self._check()
        if self._ranks.size > 1:
            batches = -(-len(self._images) // self._batch_size)
            if len(self.parts) < -(-batches // self._ranks.size):
                self._check()
