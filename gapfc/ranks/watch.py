"""Rank 0's eye on the others: on a GPU it may wait for one that is gone, and never notice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from gapfc.system import launched
from gapfc.system.hearing import hearing
from gapfc.system.interruption import Interruption, stop_signals

LOOK = 1.0  # seconds between two looks
NOTICES = 30.0  # seconds in which rank 0 notices by itself, and ends in order
STOPS = 20.0  # seconds in which it stops in order once it is told to


@contextmanager
def watching(size: int, interruption: Interruption, lost: Callable[[str], None]) -> Iterator[None]:
    """End this process if another has ended first, and it does not notice.

    What waits for a GPU can't be told to stop. A process that has started the others sees them end.
    Else torchrun or Slurm does: it tells this one to stop, and after 30 seconds kills it.

    Args:
        size: how many ranks there are. 1: nothing is watched.
        interruption: which hears signals here, where it can.
        lost: is told what has come, from another thread; then the process exits.
    """
    left = threading.Event()

    def leave(said: str) -> None:
        try:
            lost(said)
        finally:
            os._exit(1)

    def look() -> None:
        while not left.wait(LOOK):
            for rank in range(1, size):
                said = launched.how_ended(rank)
                if said is not None and not left.wait(NOTICES):
                    leave(f"rank {rank} of {size} {said}")

    def heard(number: int) -> None:
        # Once it stops it may take its time to save.
        if number in stop_signals() and not left.wait(STOPS) and not interruption.stopping:
            name = signal.Signals(number).name
            leave(
                f"{name} came, and rank 0 of {size} did not stop: it may wait for one that is gone"
            )

    started = launched.started()
    if size > 1 and started:
        threading.Thread(target=look, daemon=True).start()
    with hearing(heard) if size > 1 and not started else nullcontext():
        try:
            yield
        finally:
            left.set()
