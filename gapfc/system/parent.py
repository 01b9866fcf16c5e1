"""A process that is to end with the one that has started it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

LOOK = 1.0  # seconds between two looks
_WATCH = "gapfc-watch-parent"


def once_gone(parent: int, then: Callable[[], None]) -> None:
    """Call `then`, from another thread, once `parent`, which has started this process, is gone.

    Once a process. By looking now and then: Linux's PR_SET_PDEATHSIG comes already when the thread
    that has started this process ends.
    """
    if os.name == "nt" or any(thread.name == _WATCH for thread in threading.enumerate()):
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        then()

    threading.Thread(target=watch, name=_WATCH, daemon=True).start()


def stop() -> None:
    """Stop this process as SIGTERM does, with its state saved."""
    os.kill(os.getpid(), signal.SIGTERM)
