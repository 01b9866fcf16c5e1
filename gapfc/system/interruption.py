"""SIGINT, SIGTERM and SIGHUP finish the step; a second SIGINT stops at once."""

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, TypeVar

from gapfc.system.terminal import leave_if_gone

Context = TypeVar("Context", bound="SignalContext")

EXIT_CODES = (129, 130, 143)  # after SIGHUP, SIGINT and SIGTERM


class SignalContext(ABC):
    """A context in which SIGINT, SIGTERM and SIGHUP are given to `on_signal`.

    Python handles signals only in the main thread; elsewhere this does nothing.
    """

    @abstractmethod
    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """What to do; called in the main thread, between two Python instructions."""

    def __enter__(self: Context) -> Context:
        self._previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for signum in stop_signals():
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


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a process to save and end; SIGHUP only where `nohup` is not at work."""
    signals = (signal.SIGINT, signal.SIGTERM)
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN:
        return signals
    return (*signals, hangup)


class Interrupted(Exception):
    """The run was asked to stop; what was done is saved.

    Attributes:
        exit_code: 128 + the signal's number, as in shells: 129, 130 or 143.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class Interruption(SignalContext):
    """A context in which signals are noted, and raised when `check` is called.

    Attributes:
        stopping: whether one has been raised.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._received: int | None = None
        self._over = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A context after which signals are only noted, until all ends: the end is recorded."""
        try:
            yield
        finally:
            self._over = True

    def __exit__(self, *raised: Any) -> None:
        """From here on `check` tells again of what was noted."""
        super().__exit__(*raised)
        self._over = False

    @property
    def noted(self) -> Interrupted | None:
        """Of a signal that has come and was not raised, as while an end is recorded."""
        if self.stopping or self._received is None:
            return None
        return Interrupted(self._received)

    def check(self, most: Callable[[int], int] = lambda number: number) -> None:
        """Raise Interrupted if a signal has come.

        most: what becomes of the signal's number, or 0, among other processes: their largest.
        """
        received = most(self._received or 0)
        if received and not self._over:
            self.stopping = True
            raise Interrupted(received)

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Note the first; a second SIGINT raises KeyboardInterrupt."""
        if self._received is not None and signum == signal.SIGINT and not self._over:
            raise KeyboardInterrupt
        leave_if_gone()
        self._received = signum
