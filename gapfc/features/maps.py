"""Maps of a split, kept in place of its images, and the batches of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from gapfc.data.batches import Batch
from gapfc.data.order import Order, epoch_generator
from gapfc.data.views import Views
from gapfc.features.store import Entry
from gapfc.ranks.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Maps:
    """What a frozen part makes of each image of a split that could be read.

    Attributes:
        rows: [N, C, H, W], or [N, H, W, C] if `channels_last`; in memory, or mapped into it.
        labels: int64 [N].
        places: of the images among those that the source gave, int64 [N], on the CPU.
    """

    rows: Tensor
    channels_last: bool
    labels: Tensor
    places: Tensor

    def laid(self, rows: Tensor) -> Tensor:
        """Some of the rows as maps [n, C, H, W], laid out as the network gave them."""
        return rows.permute(0, 3, 1, 2) if self.channels_last else rows


def kept_rows(entry: Entry) -> Tensor:
    """The numbers of an entry, mapped into memory."""
    number = cast(torch.dtype, getattr(torch, entry.number))
    size = math.prod(entry.shape)
    return torch.from_file(str(entry.maps), shared=False, size=size, dtype=number).view(entry.shape)


class TrainingMaps:
    """Training batches of maps: the images that `TrainingBatches` would give, in their order.

    Args:
        maps: of the images as they are, one; where there are views, of each view.
        order: of the batches.
        views: which view of an image an epoch shows; None: the images are as they are.
        seed: of the run.
        device: where the batches go.
        preview: n -> n training images, float32 [n, 3, h, w] in [0, 1].
        ranks: among whom each batch is divided.
    """

    def __init__(
        self,
        maps: Sequence[Maps],
        order: Order,
        views: Views | None,
        seed: int,
        device: torch.device,
        preview: Callable[[int], Tensor],
        ranks: Ranks = ALONE,
    ) -> None:
        self._maps = maps
        self._order = order
        self._views = views
        self._seed = seed
        self._device = device
        self.preview = preview
        self._ranks = ranks
        self.steps = order.steps
        self.weight = ranks.weight(order.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches start.. of `epoch` (counted from 0): maps [B, C, H, W] and labels int64 [B]."""
        generator = epoch_generator(self._seed, epoch)
        batches = self._order.batches(generator)
        shown = [torch.zeros_like(batch) for batch in batches]
        if self._views is not None:
            count = sum(map(len, batches))
            shown = list(self._views.choose(count, generator).split(len(batches[0])))
        labels = self._maps[0].labels
        for batch, view in zip(batches[start:], shown[start:], strict=True):
            own = self._ranks.share(len(batch))
            yield self._take(batch[own], view[own]), labels[batch[own]].to(self._device)

    def _take(self, batch: Tensor, view: Tensor) -> Tensor:
        """The maps of images `batch`, each in its view; both int64 [B]."""
        chosen = zip(batch.tolist(), view.tolist(), strict=True)
        # A fifth of the time of indexing, which copies twice.
        rows = torch.stack([self._maps[number].rows[image] for image, number in chosen])
        return self._maps[0].laid(rows.to(self._device, non_blocking=True))


class EvaluationMaps:
    """Maps of a split in its order; may be iterated again and again, as `EvaluationBatches`."""

    def __init__(
        self,
        maps: Maps,
        batch_size: int,
        device: torch.device,
        check: Callable[[], None],
        ranks: Ranks = ALONE,
    ) -> None:
        self._maps = maps
        self._ranks = ranks
        self._batch_size = batch_size
        self._device = device
        self._check = check

    @property
    def places(self) -> Tensor:
        """See EvaluationBatches."""
        return self._maps.places

    @property
    def parts(self) -> list[Tensor]:
        """See EvaluationBatches."""
        return list(self._maps.places.split(self._batch_size)[self._ranks.turns])

    def __iter__(self) -> Iterator[Batch]:
        maps, size, turns = self._maps, self._batch_size, self._ranks.turns
        own = [column.split(size)[turns] for column in (maps.rows, maps.labels)]
        for rows, labels in zip(*own, strict=True):
            yield maps.laid(rows.to(self._device, non_blocking=True)), labels.to(self._device)
            self._check()
        batches = -(-len(maps.labels) // size)
        if len(own[0]) < -(-batches // self._ranks.size):
            self._check()
