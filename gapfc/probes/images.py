"""The images that models are measured on: moved, resized or corrupted once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from gapfc.data.loader import Loader
from gapfc.data.sizes import Size

# uint8 [B, c, h, w] and the images' places in the data set, int64 [B], to uint8 [B, c, h', w'].
Change = Callable[[Tensor, Tensor], Tensor]
KEPT = 2**30  # bytes of changed images that are kept for the next model
AS_THEY_ARE = "as they are"

Batch = tuple[Tensor, Tensor, Tensor]  # images, labels, places


class Images:
    """One split at one size, as uint8 on the CPU.

    They are changed there, so that every device measures the same pixels, and kept while there is
    room. Photos of many sizes (dataset.image_size=native) are all taken at `size`.
    """

    def __init__(self, loader: Loader, split: str, size: Size) -> None:
        """Nothing is read yet."""
        self._reader = loader.reader(split, size)
        self._batch_size = loader.settings.eval_batch_size
        self._kept: dict[str, list[Batch]] = {}
        self._room = KEPT

    @property
    def places(self) -> Tensor:
        """Of each image among those that the source gave: int64 [N]."""
        return torch.cat([places for _, _, places in self.changed()])

    def changed(self, name: str = AS_THEY_ARE, change: Change | None = None) -> Iterable[Batch]:
        """The images after `change`, in the order of the split. name: of the change, unique."""
        return self._kept[name] if name in self._kept else self._make(name, change)

    def _make(self, name: str, change: Change | None) -> Iterator[Batch]:
        source = self._read() if change is None else self.changed()
        made: list[Batch] = []
        for images, labels, places in source:
            batch = (images if change is None else change(images, places), labels, places)
            self._room -= batch[0].nbytes
            if self._room >= 0:
                made.append(batch)
            yield batch
        if self._room >= 0:
            self._kept[name] = made
        else:
            self._room += sum(batch[0].nbytes for batch in made)

    def _read(self) -> Iterator[Batch]:
        for images, labels, places in self._reader.in_order(self._batch_size):
            yield images.cpu(), labels, places
