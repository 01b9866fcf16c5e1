"""Hang-ups, killed parents and equal sweeps: nothing is lost, done twice or left behind."""

import csv
import importlib.util
import os
import signal
import socket
import subprocess
import sys

import pytest
from processes import run, start, until

from gapfc.errors import UserError
from gapfc.records.results import read_results
from gapfc.sweep.claim import Claim, is_free
from gapfc.sweep.outcomes import outcomes_below
from gapfc.system.interruption import Interrupted, Interruption

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
TINY = ("backbone.widths=[8,8]", "backbone.pool_after=[1,2]", "dataset.train_limit=60",
        "dataset.test_limit=20", "output_root=out", "trainer.device=cpu")  # fmt: skip


def test_a_hangup_saves_and_can_be_resumed(tmp_path):
    command = start("train", *TINY, "head=gap", "trainer.epochs=2000", folder=tmp_path)
    until(lambda: list(tmp_path.rglob("last.pt")), command)
    command.signal(signal.SIGHUP)
    assert command.wait() == 129
    (path,) = (config.parent for config in tmp_path.rglob("config.yaml"))
    results = read_results(path)
    assert (results["status"], results["error"]) == ("interrupted", "interrupted by SIGHUP")
    assert results["epochs"] >= 1


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as stop:
            signal.raise_signal(signal.SIGHUP)
            stop.check()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with Interruption() as stop:
            signal.raise_signal(signal.SIGHUP)
            with pytest.raises(Interrupted) as stopped:
                stop.check()
        assert stopped.value.exit_code == 129
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_has_gone_does_not_break_the_saving(tmp_path):
    ours, theirs = os.openpty()
    terminal = os.ttyname(theirs)
    command = start(
        "train", *TINY, "head=gap", "trainer.epochs=2000", folder=tmp_path, terminal=terminal
    )
    until(lambda: list(tmp_path.rglob("last.pt")), command)
    os.close(theirs)
    os.close(ours)
    command.signal(signal.SIGHUP)
    assert command.wait() == 129
    (path,) = (config.parent for config in tmp_path.rglob("config.yaml"))
    assert read_results(path)["status"] == "interrupted"


def test_one_process_has_a_claim_until_it_dies(tmp_path):
    path = tmp_path / "claims" / "run"
    program = (
        "import sys, pathlib; from gapfc.sweep.claim import Claim\n"
        "claim = Claim(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "held\n"
    assert not is_free(path)
    with pytest.raises(UserError):
        Claim(path)
    other.kill()
    other.communicate()
    assert is_free(path)
    assert not path.parent.exists()


def test_what_dead_sweeps_left_is_removed_at_the_next_start(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / ".sweep" / f"20260101-000000-{socket.gethostname()}-{dead.pid}"
    elsewhere = tmp_path / ".sweep" / f"20260101-000000-other-host-{dead.pid}"
    alive = tmp_path / ".sweep" / f"20260101-000000-{socket.gethostname()}-{os.getppid()}"
    for folder in (left, elsewhere, alive):
        folder.mkdir(parents=True)
    with outcomes_below(tmp_path) as outcomes:
        assert not left.exists()
        assert elsewhere.exists()
        assert alive.exists()
    assert not outcomes.folder.exists()


@pytest.mark.slow
def test_two_equal_sweeps_share_the_work(tmp_path):
    sweep = ("-m", "head=gap,gmp", "seed=0,1", *TINY, "trainer.epochs=40")
    both = [start("train", *sweep, folder=tmp_path) for _ in range(2)]
    assert [command.wait() for command in both] == [0, 0], [c.out + c.err for c in both]
    runs = [read_results(config.parent) for config in tmp_path.rglob("config.yaml")]
    assert sorted((r["head"], r["seed"]) for r in runs) == [
        (head, seed) for head in ("gap", "gmp") for seed in (0, 1)
    ]
    assert {r["status"] for r in runs} == {"completed"}
    assert any("another sweep is at work on it: left for later" in c.out for c in both)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"train", "margins"}


KILLED = """
import os, sys
call, number, after = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "after"
real, count = getattr(os, call), 0
def fake(*arguments, **options):
    global count
    count += 1
    if count == number and not after:
        os._exit(9)
    result = real(*arguments, **options)
    if count == number:
        os._exit(9)
    return result
setattr(os, call, fake)
sys.argv = ["gapfc", *sys.argv[4:]]
from gapfc.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Numbers of a run of three epochs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, out, err = run("train", *TINY, "head=gap", "trainer.epochs=3", folder=folder)
    assert code == 0, out + err
    return _numbers(next(folder.rglob("config.yaml")).parent)


def _numbers(path):
    """What a run measured, without times."""
    with (path / "metrics.csv").open() as file:
        rows = [
            {key: cell for key, cell in row.items() if key not in ("seconds", "images_per_second")}
            for row in csv.DictReader(file)
        ]
    results = read_results(path)
    return rows, [results[key] for key in ("status", "steps", "train", "val", "test")]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
# The first writes config.yaml; then, for the first epoch and the last and maybe for one between,
# best.pt if it is better, last.pt moved to previous.pt, and last.pt; in the end results.json.
@pytest.mark.parametrize(
    ("call", "number"),
    [("replace", n) for n in (2, 3, 4, 5, 6, 7)] + [("fsync", n) for n in (3, 5, 8)],
)
def test_a_kill_at_a_system_call_costs_nothing(call, number, when, tmp_path, undisturbed):
    words = ["train", *TINY, "head=gap", "trainer.epochs=3"]
    command = [sys.executable, "-c", KILLED, call, str(number), when, *words]
    killed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert killed.returncode in (0, 9), killed.stderr
    (path,) = (config.parent for config in tmp_path.rglob("config.yaml"))
    complete = False
    if killed.returncode == 9:
        code, out, err = run("train", f"resume={path}", folder=tmp_path)
        complete = "is complete" in err  # killed when the last file had its name
        assert code == (2 if complete else 0), out + err
    assert _numbers(path) == undisturbed
    assert complete or not list(path.rglob("*.tmp"))


@pytest.mark.slow
def test_the_workers_of_a_killed_sweep_end_and_are_resumed(tmp_path):
    if not _has_joblib():
        pytest.skip("needs the extra joblib")
    sweep = ("-m", "hydra/launcher=joblib", "head=gap,gmp", *TINY, "trainer.epochs=400")
    with (tmp_path / "output").open("w") as output:
        parent = subprocess.Popen(
            [sys.executable, "-m", "gapfc", "train", *sweep],
            cwd=tmp_path, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        until(lambda: len(list(tmp_path.rglob("last.pt"))) == 2)
        parent.kill()
        assert parent.wait() == -9
    until(lambda: len(list(tmp_path.rglob("results.json"))) == 2)
    runs = [read_results(config.parent) for config in tmp_path.rglob("config.yaml")]
    assert [found["error"] for found in runs] == ["interrupted by SIGTERM"] * 2
    again = subprocess.run(
        [sys.executable, "-m", "gapfc", "train", *sweep],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    runs = [read_results(config.parent) for config in tmp_path.rglob("config.yaml")]
    assert [(found["status"], found["epochs"]) for found in runs] == [("completed", 400)] * 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"train", "margins"}


def _has_joblib():
    try:
        return importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is not None
    except ModuleNotFoundError:
        return False
