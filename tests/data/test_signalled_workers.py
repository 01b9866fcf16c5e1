"""What stops a whole job reaches workers that read images, too: they read on until let go."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from gapfc.data.framing import Framing
from gapfc.data.stream import Stream, _quiet

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a signal's sender")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGTERM, signal.SIGHUP)


def sent_by_another(number, process):
    subprocess.run(["kill", f"-{int(number)}", str(process.pid)], check=True)


def test_a_worker_reads_on_and_ends_with_its_loader(arrays):
    stream = Stream(arrays().train, (12, 10), Framing(), torch.device("cpu"), workers=1)
    read = stream.read(torch.arange(50).split(5))
    got = [next(read)]
    (worker,) = multiprocessing.active_children()
    for number in STOPS:
        sent_by_another(number, worker)
    got += read
    assert sum(len(chunk.images) for chunk in got) == 50
    assert worker.is_alive()
    begin = time.monotonic()
    del read, stream
    assert not worker.is_alive()
    assert time.monotonic() - begin < 4  # the loader would end a worker that hangs after 5


def hang(ready):
    _quiet(0)
    ready.send(os.getpid())
    time.sleep(100)


def test_a_worker_that_hangs_is_ended_by_its_parent_alone():
    here, there = multiprocessing.Pipe()
    worker = multiprocessing.get_context("fork").Process(target=hang, args=[there])
    worker.start()
    here.recv()
    for number in STOPS:
        sent_by_another(number, worker)
    worker.join(0.3)
    assert worker.is_alive()
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0
