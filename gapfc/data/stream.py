"""Images read batch by batch: by worker processes that only read, decode and resize."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from gapfc.data.arrays import Arrays, resize
from gapfc.data.files import corrupt_message
from gapfc.data.framing import Framing
from gapfc.data.order import group_by_size
from gapfc.data.raw_dataset import Split
from gapfc.data.reader import ALL, Chunk
from gapfc.data.sizes import Size
from gapfc.errors import UserError
from gapfc.system.cores import usable_cores
from gapfc.system.interruption import stop_signals
from gapfc.system.launched import launched_here

log = logging.getLogger(__name__)

MOST_WORKERS = 8
Read = tuple[
    Tensor, Tensor, list[tuple[str, str]]
]  # images, which of them were readable, and errors for the rest


class _Batches(Dataset[Read]):
    """Item (image numbers, size) -> their images, whole; a corrupt file is reported, not raised."""

    def __init__(self, split: Split, framing: Framing) -> None:
        self._split = split
        self._framing = framing

    def __getitem__(self, item: Any) -> Read:
        numbers, size = item
        if isinstance(self._split, Arrays):
            images = self._split.images.index_select(0, numbers)
            return resize(images, size), torch.ones(len(numbers), dtype=torch.bool), []
        images = torch.zeros(len(numbers), 3, *size, dtype=torch.uint8)
        readable = torch.ones(len(numbers), dtype=torch.bool)
        bad: list[tuple[str, str]] = []
        for row, number in enumerate(numbers.tolist()):
            try:
                images[row] = self._split.read(number, size, self._framing)
            except UserError as error:  # a worker's exception would arrive with its traceback
                readable[row] = False
                bad.append((self._split.paths[number], str(error.__cause__ or error)))
        return images, readable, bad


def _quiet(worker: int) -> None:
    """What asks a run to stop reaches the workers too: the training process decides when they end.

    Ctrl-C and a closed terminal reach its process group, SIGTERM of torchrun and of scancel all
    that it has started. Its own SIGTERM stays with torch's handler, which takes it as an end in
    order; a worker that was killed would be reported by the training process, and fail the run.
    """
    for number in stop_signals():
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere Python is not told who has sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_by, args=[os.getppid()], daemon=True).start()


def _end_by(sender: int) -> None:
    """End this process, whatever it is at, by a SIGTERM from the process `sender` alone.

    Not by counting: a job under torchrun that is cancelled is sent one by each of the two.
    """
    if sys.platform == "linux":
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != sender:
            pass
        os._exit(0)


class _Order(Sampler[Any]):
    """The items of the current pass; workers persist from one pass to the next."""

    def __init__(self) -> None:
        self.items: list[tuple[Tensor, Size]] = []

    def __iter__(self) -> Iterator[tuple[Tensor, Size]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def _start_method() -> str | None:
    """How workers are started, if not as usual: in processes of joblib that is loky's own way.

    It starts no worker of a DataLoader (joblib 1.6).
    """
    known = multiprocessing.get_all_start_methods()  # the usual one first
    return None if multiprocessing.get_start_method() in known else known[0]


class Stream:
    """One split behind a DataLoader.

    size: (h, w) of all images, or a list of each one's own, which is then found in `sizes`.
    """

    def __init__(
        self,
        split: Split,
        size: Size | list[Size],
        framing: Framing,
        device: torch.device,
        workers: int,
    ) -> None:
        self._split = split
        self._size = size if isinstance(size, tuple) else size[0]
        self.sizes = size if isinstance(size, list) else None
        self.labels = split.labels
        self._device = device
        self._order = _Order()
        self._loader: DataLoader[Read] = DataLoader(
            _Batches(split, framing),
            sampler=self._order,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=_quiet,
            multiprocessing_context=_start_method() if workers else None,
            generator=torch.Generator(),  # else each pass would draw from the global random state
        )

    def __len__(self) -> int:
        return len(self._split)

    def read(self, batches: Sequence[Tensor]) -> Iterator[Chunk]:
        """The images of `batches` (image numbers, of one size within a batch), one at a time.

        Raises UserError naming a corrupt file when it is met, unless the split skips them.
        """
        self._order.items = [(batch, self._size_of(batch)) for batch in batches]
        position = 0
        for batch, (images, readable, bad) in zip(batches, self._loader, strict=True):
            rows: slice | Tensor = slice(position, position + len(batch))
            position += len(batch)
            labels = self._split.labels[batch]
            if bad:
                self._report(bad)
                images, labels = images[readable], labels[readable]
                rows = (readable.nonzero().flatten() + position - len(batch)).to(self._device)
                if not len(images):
                    raise UserError("Every image of a batch is unreadable: repair the data set.")
            yield Chunk(
                images.to(self._device, non_blocking=True),
                labels.to(self._device),
                rows,
                [len(images)],
            )

    def in_order(
        self, batch_size: int, part: slice = ALL
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Every image once, size by size: uint8 [B, c, h, w], labels and places int64 [B]."""
        every = [torch.arange(len(self))] if self.sizes is None else group_by_size(self.sizes)
        batches = [batch for group in every for batch in group.split(batch_size)][part]
        if not batches:
            return
        places = self._split.places[torch.cat(batches)]
        for chunk in self.read(batches):
            rows = chunk.rows if isinstance(chunk.rows, slice) else chunk.rows.cpu()
            yield chunk.images, chunk.labels, places[rows]

    def _size_of(self, batch: Tensor) -> Size:
        return self._size if self.sizes is None else self.sizes[int(batch[0])]

    def _report(self, bad: list[tuple[str, str]]) -> None:
        found = [(path, OSError(reason)) for path, reason in bad]
        if isinstance(self._split, Arrays) or not self._split.skip_corrupt:
            raise UserError(corrupt_message(found))
        log.warning("Skipped %s", corrupt_message(found, hint=False))


def count_workers(setting: int | Literal["auto"], split: Split) -> int:
    """`dataset.workers` as a number; auto: one per usable processor for files, none for arrays.

    Of several ranks on one machine each has its part of the processors.
    """
    if setting != "auto":
        return setting
    if isinstance(split, Arrays):
        return 0
    return min(max(len(usable_cores()) // launched_here(), 1), MOST_WORKERS)
