"""SIGINT and SIGTERM, handled for the length of a `with` block."""

import signal
import threading
from abc import ABC, abstractmethod
from types import FrameType, TracebackType
from typing import Any, TypeVar

Context = TypeVar("Context", bound="SignalContext")


class SignalContext(ABC):
    """A context in which SIGINT and SIGTERM are given to `on_signal`.

    Outside the main thread Python lets nobody handle signals; there it does nothing.
    """

    @abstractmethod
    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """What to do; called in the main thread, between two instructions of Python."""

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
