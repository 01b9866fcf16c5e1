"""Signals heard in a thread: the main one, where Python handles them, may be stuck."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def hearing(heard: Callable[[int], None]) -> Iterator[None]:
    """A context in which a thread calls `heard` with each signal that has a handler of Python's.

    Nothing is heard where this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    here, there = socket.socketpair()
    there.setblocking(False)

    def listen() -> None:
        with here:
            while number := here.recv(1):
                heard(number[0])

    threading.Thread(target=listen, daemon=True).start()
    before = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        there.shutdown(socket.SHUT_RDWR)  # processes that were forked meanwhile hold it open
        there.close()
