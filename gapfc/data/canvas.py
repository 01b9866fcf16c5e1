"""Images in the middle of a larger black square, where a shift cuts nothing off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor
from torch.nn import functional

from gapfc.data.reader import ALL, Chunk, Reader
from gapfc.data.sizes import Size


def margins(image: Size, canvas: Size) -> Size:
    """Black rows above and black columns left of an image on a canvas; of an odd rest, the less."""
    return ((canvas[0] - image[0]) // 2, (canvas[1] - image[1]) // 2)


def set_into(images: Tensor, canvas: Size) -> Tensor:
    """Images [..., h, w] in the middle of a black `canvas` (h, w)."""
    height, width = images.shape[-2:]
    top, left = margins((height, width), canvas)
    bottom, right = canvas[0] - height - top, canvas[1] - width - left
    return functional.pad(images, (left, right, top, bottom))


class OnCanvas:
    """A reader that sets its images, all of one size, into the middle of a black `canvas`."""

    def __init__(self, images: Reader, canvas: Size) -> None:
        """canvas: (h, w)."""
        self._images = images
        self._canvas = canvas
        self.sizes: list[Size] | None = None
        self.labels = images.labels

    def __len__(self) -> int:
        return len(self._images)

    def read(self, batches: Sequence[Tensor]) -> Iterator[Chunk]:
        """See Reader."""
        for chunk in self._images.read(batches):
            yield replace(chunk, images=set_into(chunk.images, self._canvas))

    def in_order(
        self, batch_size: int, part: slice = ALL
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """See Reader."""
        for images, labels, places in self._images.in_order(batch_size, part):
            yield set_into(images, self._canvas), labels, places
