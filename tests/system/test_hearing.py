"""Signals are heard in a thread while the main one is where Python cannot handle them."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from gapfc.system.hearing import hearing

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
# A mutex is waited for on after a signal, as a GPU is.
STUCK = """
import ctypes, os, signal, threading
from gapfc.system.hearing import hearing
signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
libc, one = ctypes.CDLL(None), ctypes.create_string_buffer(64)
def heard(number):
    print("heard", signal.Signals(number).name, flush=True)
    os._exit(3)
with hearing(heard):
    threading.Timer(0.5, print, ["stuck"], {"flush": True}).start()
    libc.pthread_mutex_lock(one)
    libc.pthread_mutex_lock(one)
"""


def test_a_main_thread_that_is_stuck_hears_nothing_but_a_thread_does():
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "stuck\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "heard SIGTERM\n"
    assert process.returncode == 3


def test_nothing_is_left_behind():
    heard, threads = [], threading.active_count()
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with hearing(heard.append):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    for thread in threading.enumerate()[threads:]:
        thread.join(20)
    assert threading.active_count() == threads
    assert heard == [signal.SIGTERM] * 2
    assert signal.set_wakeup_fd(-1) == -1
