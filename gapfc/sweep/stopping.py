"""Stopping a sweep of several processes: active runs save and end, no more begin."""

import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

from gapfc.sweep.outcomes import Outcomes
from gapfc.system.interruption import SignalContext
from gapfc.system.terminal import leave_if_gone


class Stopping(SignalContext):
    """A context in which the first signal ends the sweep cleanly, a second one at once.

    Attributes:
        code: 129, 130 or 143 once a signal has come, else None.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self.code: int | None = None
        self._outcomes = outcomes

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Begin no more runs and stop the active ones; a second signal raises KeyboardInterrupt."""
        leave_if_gone()
        if self.code is not None:
            if signum == getattr(signal, "SIGHUP", None):
                return  # a shell that ends may send it after the kernel has
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
                # Even if Ctrl-C has reached it: not every launcher's processes receive that.
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(begun.pid, signal.SIGTERM)
