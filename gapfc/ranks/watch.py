"""Rank 0's eye on the others: on a GPU it may wait for one that is gone, and never notice."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gapfc.system import launched

LOOK = 1.0  # seconds between two looks
NOTICES = 30.0  # seconds in which rank 0 notices by itself, and ends in order


@contextmanager
def watching(size: int, lost: Callable[[str], None]) -> Iterator[None]:
    """End this process if another that it has started ends first, and it does not notice.

    What waits for a GPU can't be told to stop. Processes that torchrun or Slurm has started are
    ended by them.

    Args:
        size: how many ranks there are. 1: nothing is watched.
        lost: is told which rank has ended and how, from another thread; then the process exits.
    """
    left = threading.Event()

    def watch() -> None:
        while not left.wait(LOOK):
            for rank in range(1, size):
                said = launched.how_ended(rank)
                if said is not None and not left.wait(NOTICES):
                    try:
                        lost(f"rank {rank} of {size} {said}")
                    finally:
                        os._exit(1)

    if size > 1 and launched.started():
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()
