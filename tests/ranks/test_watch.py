"""Rank 0 ends when another rank has, also where it can't notice or be told by itself."""

import subprocess
import sys
import textwrap

import pytest

STUCK = """
import subprocess, sys, threading
from gapfc.ranks import watch
from gapfc.system import launched
from gapfc.system.interruption import Interruption

watch.LOOK, watch.NOTICES = 0.05, {notices}
other = subprocess.Popen([sys.executable, "-c", {other!r}])
launched._children[1] = other
with watch.watching({size}, Interruption(), lambda said: print("lost:", said, flush=True)):
    other.wait()
    threading.Event().wait({stuck})  # as in a step that waits for a GPU
print("went on")
"""


def ended(other, size=2, notices=0.2, stuck=None):
    program = STUCK.format(other=textwrap.dedent(other), size=size, notices=notices, stuck=stuck)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
         "rank 1 of 2 was killed (SIGKILL; out of memory?)"),
        ("raise SystemExit(3)", "rank 1 of 2 ended with exit code 3"),
    ],
)  # fmt: skip
def test_a_rank_that_is_gone_ends_one_that_is_stuck(other, said):
    found = ended(other)
    assert (found.returncode, found.stdout) == (1, f"lost: {said}\n"), found.stderr


@pytest.mark.parametrize(
    ("other", "more"),
    [
        ("", {}),  # it ended as it should
        ("raise SystemExit(75)", {}),  # because another has: that one is to blame
        ("raise SystemExit(3)", {"notices": 60}),  # this rank left in time
        ("raise SystemExit(3)", {"size": 1}),
    ],
)
def test_otherwise_nothing_is_ended(other, more):
    found = ended(other, stuck=0.6, **more)
    assert (found.returncode, found.stdout) == (0, "went on\n"), found.stderr


TOLD = """
import signal, threading
from gapfc.ranks import watch
from gapfc.system.interruption import Interrupted, Interruption

watch.STOPS = 0.2
lost = lambda said: print("lost:", said, flush=True)
with Interruption() as interruption, watch.watching({size}, interruption, lost):
    signal.raise_signal(signal.{name})
    try:
        {then}
    except Interrupted:
        pass
    threading.Event().wait({stuck})
print("went on")
"""


def told(name="SIGTERM", size=2, then="pass", stuck=None):
    """How a process ends that torchrun or Slurm has started, and now tells to stop."""
    program = TOLD.format(name=name, size=size, then=then, stuck=stuck)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_rank_that_is_told_to_stop_and_is_stuck_ends(name):
    found = told(name)
    why = "did not stop: it may wait for one that is gone"
    said = f"lost: {name} came, and rank 0 of 2 {why}\n"
    assert (found.returncode, found.stdout) == (1, said), found.stderr


@pytest.mark.parametrize(
    "more",
    [
        {"then": "interruption.check()", "stuck": 0.6},  # it stops, and is long at saving
        {"stuck": 0.05},  # it left in time
        {"size": 1, "stuck": 0.6},
    ],
)
def test_a_rank_that_is_not_stuck_ends_in_order(more):
    found = told(**more)
    assert (found.returncode, found.stdout) == (0, "went on\n"), found.stderr
