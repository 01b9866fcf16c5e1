"""Images kept as one uint8 tensor on the device that trains."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import torch
from torch import Tensor

from gapfc.data.arrays import Arrays
from gapfc.data.files import Files, corrupt_message
from gapfc.data.framing import Framing
from gapfc.data.patience import followed
from gapfc.data.raw_dataset import Split
from gapfc.data.reader import ALL, Chunk
from gapfc.data.sizes import Size
from gapfc.errors import UserError
from gapfc.system.cores import usable_cores

log = logging.getLogger(__name__)


class Resident:
    """One split in memory: images uint8 [N, c, h, w], labels int64 [N], both on the device.

    places: of the images among those that the source gave, int64 [N] on the CPU.
    """

    # Bytes of a chunk once its pixels are float32 in three channels: large enough that an
    # operation's overhead vanishes, small enough for the caches of a CPU.
    CHUNK: ClassVar = {"cpu": 12 * 2**20, "cuda": 64 * 2**20}

    def __init__(self, images: Tensor, labels: Tensor, places: Tensor) -> None:
        self.images = images
        self.labels = labels
        self.places = places
        self.sizes: list[Size] | None = None  # all images are of one

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, batches: Sequence[Tensor]) -> Iterator[Chunk]:
        """The images of `batches` (image numbers on the CPU), several batches at a time."""
        if not batches:
            return
        device, (height, width) = self.images.device, self.images.shape[2:]
        together = max(1, self.CHUNK[device.type] // (len(batches[0]) * 12 * height * width))
        order = torch.cat(list(batches)).to(device)
        end = 0
        for first in range(0, len(batches), together):
            lengths = [len(batch) for batch in batches[first : first + together]]
            rows = slice(end, end + sum(lengths))
            end = rows.stop
            chosen = order[rows]
            yield Chunk(self.images.index_select(0, chosen), self.labels[chosen], rows, lengths)

    def in_order(
        self, batch_size: int, part: slice = ALL
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Every image once, in batches: uint8 [B, c, h, w], labels and places int64 [B]."""
        columns = (self.images, self.labels, self.places)
        return zip(*(column.split(batch_size)[part] for column in columns), strict=True)


# Kept for later, which a probe in inference mode may be the first to ask for; and threads, which
# decode, are not in that mode, and could not write into its tensors.
@torch.inference_mode(False)
def make_resident(split: Split, size: Size, framing: Framing, device: torch.device) -> Resident:
    """Every image at `size` on `device`. Files are decoded once, with a thread per usable core.

    Raises UserError naming corrupt files, unless the split skips them.
    """
    if isinstance(split, Arrays):
        return Resident(split.resized(size).to(device), split.labels.to(device), split.places)
    images, good = _decode_all(split, size, framing)
    return Resident(images.to(device), split.labels[good].to(device), split.places[good])


def _decode_all(split: Files, size: Size, framing: Framing) -> tuple[Tensor, Tensor]:
    images = torch.empty(len(split), 3, *size, dtype=torch.uint8)

    def fill(index: int) -> UserError | None:
        try:
            images[index] = split.read(index, size, framing)
        except UserError as error:
            return error
        return None

    with ThreadPoolExecutor(len(usable_cores())) as pool:
        decoded = pool.map(fill, range(len(split)))
        results = list(followed(decoded, len(split), f"decoding {len(split):,} photos"))
    bad = [
        (split.paths[index], error.__cause__ or error)
        for index, error in enumerate(results)
        if error is not None
    ]
    if bad and not split.skip_corrupt:
        raise UserError(corrupt_message(bad))
    good = torch.tensor([i for i, error in enumerate(results) if error is None], dtype=torch.int64)
    if bad:
        log.warning("Skipped %s", corrupt_message(bad, hint=False))
        if not len(good):
            raise UserError("Every image of a split is unreadable.")
        images = images[good]
    return images, good
