"""A process whose parent was killed stops as if it had been told to."""

import os
import subprocess
import sys

import pytest

CHILD = """
import os, signal, threading
from gapfc.system import parent
parent.LOOK = 0.05
parent.once_gone(os.getppid(), parent.stop)
parent.once_gone(os.getppid(), parent.stop)
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: (print("stopped", flush=True), stopped.set()))
print(threading.active_count(), flush=True)
stopped.wait()
"""
PARENT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
    "time.sleep(60)"
)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX processes")
def test_it_stops_once_its_parent_is_gone():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "2\n"  # threads: one looks, however often it is asked for
    parent.kill()
    assert parent.communicate(timeout=30)[0] == "stopped\n"
