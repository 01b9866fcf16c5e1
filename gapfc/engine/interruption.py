"""SIGINT and SIGTERM finish the step; a second SIGINT stops at once."""

import signal
from types import FrameType

from gapfc.signals import SignalContext


class Interrupted(Exception):
    """The run was asked to stop; what was done is saved.

    Attributes:
        exit_code: 128 + the signal's number, as shells have it: 130 or 143.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class Interruption(SignalContext):
    """A context in which signals are noted, and raised where `check` is called."""

    def __init__(self) -> None:
        self._received: int | None = None

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Note the first; a second SIGINT raises KeyboardInterrupt."""
        if self._received is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = signum
