"""SIGINT and SIGTERM finish the step; a second SIGINT stops at once."""

import signal
import threading
from abc import ABC, abstractmethod
from types import FrameType, TracebackType
from typing import Any, TypeVar

Context = TypeVar("Context", bound="SignalContext")


class SignalContext(ABC):
    """A context in which SIGINT and SIGTERM are given to `on_signal`.

    Python handles signals only in the main thread; elsewhere this does nothing.
    """

    @abstractmethod
    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """What to do; called in the main thread, between two Python instructions."""

    def __enter__(self: Context) -> Context:
        self._previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._previous[signum] = signal.signal(signum, self.on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)


class Interrupted(Exception):
    """The run was asked to stop; what was done is saved.

    Attributes:
        exit_code: 128 + the signal's number, as in shells: 130 or 143.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class Interruption(SignalContext):
    """A context in which signals are noted, and raised when `check` is called."""

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
