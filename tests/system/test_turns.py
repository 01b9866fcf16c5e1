"""Runs that take turns, as processes of their own: who is at work when, and who is waited for."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from gapfc.system.cores import usable_cores
from gapfc.system.turns import PASSED, SHARED, Turns, own_folder, runtime_folder

fcntl = pytest.importorskip("fcntl", reason="needs POSIX locks")

# Steps of a few milliseconds, in which nothing is computed: only when they are matters here. Each
# is written as it ends, since a run may be killed.
WORKER = """
import json, sys, time
from pathlib import Path
from gapfc.system import turns
from gapfc.system.interruption import Interrupted, Interruption
folder, name, threads, cores, seconds, patience = sys.argv[1:]
turns.TURN, turns.LOOK, turns.SAID_AFTER, turns.PATIENCE = 0.2, 0.01, 0.05, float(patience)
out = Path(folder, name).open("w", buffering=1)
say = lambda **what: print(json.dumps(what), file=out)
interruption = Interruption()
taken = turns.Turns(int(threads), range(int(cores)), interruption.check,
                    lambda line: say(line=line), Path(folder, "own"))
begun = time.monotonic()
with interruption, taken:
    try:
        while time.monotonic() - begun < float(seconds):
            taken.check()
            begin = time.monotonic()
            time.sleep(0.004)
            say(step=[begin, time.monotonic()])
    except Interrupted:
        say(line="interrupted")
    say(clock=taken.clock(), now=time.perf_counter())
"""


SLOW = pytest.mark.slow


class Worker:
    def __init__(self, folder, name, threads=2, cores=2, seconds=2.5, patience=60):
        self.file = folder / name
        arguments = [str(a) for a in (folder, name, threads, cores, seconds, patience)]
        self.process = subprocess.Popen([sys.executable, "-c", WORKER, *arguments])

    def records(self):
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    @property
    def steps(self):
        return [r["step"] for r in self.records() if "step" in r]

    @property
    def lines(self):
        return [r["line"] for r in self.records() if "line" in r]

    def signal(self, number):
        self.process.send_signal(number)

    def until(self, condition):
        end = time.monotonic() + 60
        while not condition(self):
            assert time.monotonic() < end, self.records()
            time.sleep(0.005)


@pytest.fixture
def start(tmp_path):
    """Starts workers; those that are left at the end of a test are killed."""
    started = []

    def make(*arguments, **options):
        started.append(Worker(tmp_path, *arguments, **options))
        return started[-1]

    yield make
    for worker in started:
        worker.process.kill()
        worker.process.wait()


def at_once(workers):
    """Pairs of steps of two workers that were going on at the same time."""
    return [
        (one, other)
        for a, b in combinations(workers, 2)
        for one in a.steps
        for other in b.steps
        if one[0] < other[1] and other[0] < one[1]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("runs", [pytest.param(2, marks=SLOW), 3])
def test_alternate_and_are_never_at_work_at_once(start, runs):
    workers = [start(f"{n}", seconds=2.5) for n in range(runs)]
    for worker in workers:
        assert worker.process.wait(60) == 0
    assert not at_once(workers)
    # Of the time in which all were there, each had its share.
    begin = max(worker.steps[0][0] for worker in workers)
    end = min(worker.steps[-1][1] for worker in workers)
    seconds = [sum(b - a for a, b in worker.steps if begin <= a and b <= end) for worker in workers]
    assert min(seconds) > 0.4 * max(seconds)
    for worker in workers:
        assert worker.lines == [SHARED]
        clock, now = (worker.records()[-1][key] for key in ("clock", "now"))
        assert now - clock > 0.3  # what it waited


@pytest.mark.parametrize(("threads", "runs"), [([1, 1], 2), pytest.param([2, 1, 1], 3, marks=SLOW)])
def test_go_side_by_side_where_there_are_cores_for_all(start, threads, runs):
    cores = sum(threads)
    workers = [start(f"{n}", threads[n], cores, 0.8) for n in range(runs)]
    for worker in workers:
        assert worker.process.wait(60) == 0
        assert worker.lines == []
    assert at_once(workers)


@pytest.mark.slow
def test_one_of_more_threads_than_are_left_waits_for_all(start):
    small = [start(f"small{n}", 1, 2, 1.5) for n in range(2)]
    large = start("large", 2, 2, 1.5)
    for worker in (*small, large):
        assert worker.process.wait(60) == 0
    assert len(large.steps) > 10
    assert at_once(small)
    assert not at_once([small[0], large]) + at_once([small[1], large])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_one_that_is_gone_is_not_waited_for(start, number):
    first = start("first", seconds=60)
    first.until(lambda w: w.steps)
    second = start("second", seconds=60)
    second.until(lambda w: w.steps)
    first.signal(number)
    assert first.process.wait(10) == (-number if number == signal.SIGKILL else 0)
    ended = time.monotonic()
    second.until(lambda w: w.steps[-1][0] > ended + 0.5)
    steps = [step for step in second.steps if step[0] > ended + 0.1]
    assert max(b[0] - a[1] for a, b in pairwise(steps)) < 0.5
    assert PASSED not in second.lines


@pytest.mark.slow
def test_one_that_is_stopped_is_passed_over_and_comes_back_in_turn(start):
    stopped = start("stopped", seconds=60, patience=0.8)
    stopped.until(lambda w: w.steps)
    stopped.signal(signal.SIGSTOP)
    others = [start(f"{n}", seconds=60, patience=0.8) for n in range(2)]
    for worker in others:
        worker.until(lambda w: len(w.steps) > 100)
    assert any(PASSED in worker.lines for worker in others)
    assert not at_once(others)
    stopped.signal(signal.SIGCONT)
    again = time.monotonic() + 0.1
    for worker in (stopped, *others):
        worker.until(lambda w: w.steps[-1][0] > again + 0.5)
        worker.signal(signal.SIGKILL)
    late = [
        (one, other) for one, other in at_once([stopped, *others]) if min(one[0], other[0]) > again
    ]
    assert not late


def is_locked(file, byte):
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except OSError:
        return True
    fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)
    return False


@pytest.mark.slow
def test_one_that_is_stopped_in_the_queue_is_passed_over(start, tmp_path):
    first = start("first", seconds=60, patience=0.8)
    first.until(lambda w: w.steps)
    # It waits at most for a turn to end, and is stopped before that.
    queued = start("queued", seconds=60, patience=0.8)
    with (tmp_path / "own" / "turns").open("r+") as file:
        queued.until(lambda w: is_locked(file, 0))
        queued.signal(signal.SIGSTOP)
    then = time.monotonic()
    first.until(lambda w: w.steps[-1][0] > then + 2)


def test_a_signal_is_heeded_while_it_waits(start):
    first = start("first", seconds=60)
    first.until(lambda w: w.steps)
    first.signal(signal.SIGSTOP)
    waiting = start("waiting", seconds=60)
    waiting.until(lambda w: w.lines == [SHARED])
    begun = time.monotonic()
    waiting.signal(signal.SIGINT)
    waiting.until(lambda w: "interrupted" in w.lines)
    assert time.monotonic() - begun < 2


def test_one_that_waits_for_something_else_gives_up_its_cores(start, tmp_path):
    with Turns(2, (0, 1), folder=tmp_path / "own") as turns:
        turns.check()
        with turns:  # again: nothing changes, also as it ends
            turns.check()
        other = start("other", seconds=60)
        other.until(lambda w: w.lines == [SHARED])
        assert not other.steps
        turns.give_up()
        other.until(lambda w: len(w.steps) > 10)
        turns.check()  # waits for its turn again, of which the other has had its own by now
        assert turns.clock() < time.perf_counter()
    other.until(lambda w: w.steps[-1][1] - w.steps[0][0] > 0.5)


def hostile(kind, folder):
    """Something in the place of the lock file, or of the folder."""
    own, file = folder / "own", folder / "own" / "turns"
    own.mkdir(mode=0o700)
    victim = folder / "victim"
    victim.write_text("mine")
    if kind == "link":
        file.symlink_to(victim)
    elif kind == "directory":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "of another":
        file.touch()
        os.chown(file, 12345, 12345)
    elif kind == "folder is a link":
        own.rename(folder / "elsewhere")
        own.symlink_to(folder / "elsewhere")
    elif kind == "folder is a file":
        own.rmdir()
        own.touch()
    elif kind == "folder is open to others":
        own.chmod(0o777)
    elif kind == "folder of another":
        os.chown(own, 12345, 12345)
    elif kind == "no folder to make it in":
        own.rmdir()
        return folder / "nowhere" / "own"
    return own


KINDS = (
    "link", "directory", "pipe", "of another", "folder is a link", "folder is a file",
    "folder is open to others", "folder of another", "no folder to make it in",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_in_its_place_it_goes_on_and_says_so_once(kind, tmp_path):
    if "another" in kind and os.geteuid() != 0:
        pytest.skip("needs root, to give a file to another")
    own = hostile(kind, tmp_path)
    told = []
    with Turns(2, (0, 1), tell=told.append, folder=own) as turns:
        for _ in range(3):
            turns.check()
    (line,) = told
    assert line.startswith("runs at the same time will not take turns: ")
    assert str(own) in line
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_file_that_is_swept_away_is_made_again(start, tmp_path):
    workers = [start(f"{n}", seconds=60) for n in range(2)]
    for worker in workers:
        worker.until(lambda w: w.steps)
    (tmp_path / "own" / "turns").unlink()
    then = time.monotonic()
    for worker in workers:
        worker.until(lambda w: w.steps[-1][0] > then + 1)
        worker.signal(signal.SIGKILL)
    late = [pair for pair in at_once(workers) if pair[0][0] > then + 0.6]
    assert not late


def test_alone_it_costs_nothing_that_counts(tmp_path):
    told = []
    with Turns(2, (0, 1), tell=told.append, folder=tmp_path / "own") as turns:
        turns.check()
        begun = time.process_time()
        for _ in range(20_000):
            turns.check()
        each = (time.process_time() - begun) / 20_000
        turns._due = 0.0  # its turn is over: it looks whether others wait
        begun = time.process_time()
        for _ in range(1_000):
            turns._due = 0.0
            turns.check()
        look = (time.process_time() - begun) / 1_000
    assert told == []
    # A step takes a millisecond or more, and there are 20 looks a second.
    assert each < 10e-6
    assert look * 20 < 0.01


def test_of_a_run_that_computes_elsewhere_nothing_is_written(tmp_path):
    with Turns(0, (0, 1), folder=tmp_path / "own") as turns:
        turns.check()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_of_this_user_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_folder() == tmp_path / "gapfc"
    own_folder(runtime_folder())
    assert stat.S_IMODE(runtime_folder().stat().st_mode) == 0o700
    own_folder(runtime_folder())
    for missing in ("", "relative", str(tmp_path / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", missing)
        assert runtime_folder().name == f"gapfc-{os.getuid()}"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "what?\n"}, None),
        ({}, None),
    ],
)
def test_cores_are_those_of_the_affinity_within_the_quota(files, quota, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {9, 3, 5}, raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cores(tmp_path) == (3, 5, 9)[:quota]
    assert usable_cores(Path(tmp_path / "gone")) == (3, 5, 9)
