"""A sweep of several processes that is asked to stop: what runs saves and ends, no more begins."""

import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from gapfc.sweep.outcomes import Outcomes


class Stopping:
    """A context in which the first SIGINT or SIGTERM ends the sweep in order, a second at once.

    Attributes:
        code: 130 or 143 once a signal has come, else None.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self.code: int | None = None
        self._outcomes = outcomes
        self._previous: dict[int, Any] = {}

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.code is not None:
            raise KeyboardInterrupt
        self.code = 128 + signum
        self._outcomes.stop()
        print(
            "\ngapfc: stopping: the runs at work save their state and end (again: at once)",
            file=sys.stderr,
            flush=True,
        )
        ended = self._outcomes.ended()
        for run, begun in self._outcomes.begun().items():
            if run not in ended and begun.host == socket.gethostname():
                # Also where Ctrl-C has reached it: not every launcher's processes get that.
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(begun.pid, signal.SIGTERM)

    def __enter__(self) -> "Stopping":
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
