"""Runs that were stopped: asked to, killed, or cut short on disk; continued, they are the same."""

import re
import shutil
import signal

import pytest
from processes import run, start, until
from test_train import TINY, directories, equal, metrics, untimed, weights

from gapfc.records.results import read_results

# 25 steps an epoch; dropout, EMA, a plateau and early stopping are states to be restored too.
LONG = [
    *TINY,
    "trainer.batch_size=8",
    "trainer.epochs=12",
    "trainer.ema=0.9",
    "trainer.early_stopping=11",
    "augment=cutout",
    "augment.mixup=0.2",
    "head.dropout=0.2",
    "schedule=plateau",
    "schedule.patience=1",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directory of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(*LONG, folder=folder)[0] == 0
    (directory,) = directories(folder)
    return directory


def begin(folder, epochs=2, options=LONG):
    """Start a run and wait until it has done some epochs."""
    command = start(*options, folder=folder)

    def ready():
        found = directories(folder)
        done = found and (found[0] / "metrics.csv").exists() and metrics(found[0])
        return found[0] if done and len(done) >= epochs else None

    return command, until(ready, command)


def resume(directory, *changes):
    return run("train", f"resume={directory}", *changes, folder=directory.parents[5])


def check_equal(directory, whole):
    assert untimed(directory) == untimed(whole)
    for name in ("best.pt", "last.pt"):
        assert equal(weights(directory, name), weights(whole, name))
    ours, theirs = read_results(directory), read_results(whole)
    for key in (
        "status",
        "error",
        "group",
        "epochs",
        "steps",
        "best_epoch",
        "train",
        "val",
        "test",
    ):
        assert ours[key] == theirs[key], key
    seconds = [float(row["seconds"]) for row in metrics(directory)]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "SIGINT"),
        pytest.param(signal.SIGTERM, 143, "SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_step_and_resume_goes_on_exactly(number, code, word, whole, tmp_path):
    command, directory = begin(tmp_path)
    command.signal(number)
    assert command.wait() == code
    assert "Traceback" not in command.out + command.err
    results = read_results(directory)
    assert results["status"] == "interrupted"
    assert results["error"] == f"interrupted by {word}"
    assert results["test"] is None
    assert 2 <= results["epochs"] < 12
    assert results["steps"] >= 25 * results["epochs"]
    (advice,) = re.findall(r"^  gapfc (train resume=\S+)$", command.out, re.MULTILINE)

    code, out, err = run(*advice.split(), folder=tmp_path)
    assert (code, err) == (0, "")
    assert f"at step {results['steps']}" in out
    check_equal(directory, whole)


@pytest.mark.slow
def test_typed_again_a_run_says_how_to_go_on_with_the_interrupted_one(tmp_path):
    command, directory = begin(tmp_path)
    command.signal(signal.SIGINT)
    assert command.wait() == 130
    code, out, _ = run(*LONG, folder=tmp_path)
    assert code == 0
    where = directory.relative_to(tmp_path)
    said, command = out.splitlines()[:2]
    assert said == "This is a new run. To go on with the interrupted one of the same settings:"
    assert command == f"  gapfc train resume={where}"


@pytest.mark.slow
def test_typed_again_a_run_says_that_it_is_done(tmp_path):
    for already in (False, True):
        code, out, _ = run(*TINY, "trainer.epochs=1", folder=tmp_path)
        assert code == 0
        assert ("This repeats a run that is done" in out) == already
    first, _ = sorted(directories(tmp_path))
    assert out.splitlines()[1] == f"  {first.relative_to(tmp_path)}"
    again = run(*TINY, "trainer.epochs=1", "rerun=true", folder=tmp_path)
    assert "This repeats" not in again[1]


@pytest.mark.slow
def test_a_run_stopped_twice_is_the_same(whole, tmp_path):
    for epochs in (1, 4):
        if epochs == 1:
            command, directory = begin(tmp_path, epochs)
        else:
            command = start("train", f"resume={directory}", folder=tmp_path)
            until(lambda path=directory: len(metrics(path)) >= 4, command)
        command.signal(signal.SIGTERM)
        assert command.wait() == 143
    assert resume(directory)[0] == 0
    check_equal(directory, whole)


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_killed_run_is_continued_from_its_last_epoch(epochs, whole, tmp_path):
    command, directory = begin(tmp_path, epochs)
    command.signal(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    assert not (directory / "results.json").exists()
    code, _, err = resume(directory)
    assert (code, err) == (0, "")
    check_equal(directory, whole)


@pytest.mark.slow
def test_a_second_process_is_refused_while_the_first_one_writes(tmp_path):
    # Long enough for the second to have come and gone before the first ends.
    endless = [*LONG, "trainer.epochs=1000", "trainer.early_stopping=null"]
    command, directory = begin(tmp_path, options=endless)
    code, out, err = resume(directory)
    assert code == 2
    assert "is being written by another process" in err
    assert "Traceback" not in out + err
    assert command.process.is_alive()
    command.signal(signal.SIGTERM)
    assert command.wait() == 143


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of the uninterrupted run, to be spoilt."""
    target = tmp_path / "outputs/train/digits/convnet/gap/copy"
    shutil.copytree(whole, target)
    return target


def test_a_complete_run_is_left_alone(copy):
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in copy.rglob("*") if p.is_file()}
    code, out, err = resume(copy)
    assert code == 2
    assert "is complete: 12 epochs. trainer.epochs=24 would train it on" in err
    assert "Traceback" not in out + err
    for path, (content, time) in before.items():
        if path.name != ".lock":
            assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, time), path


def test_a_complete_run_is_left_alone_also_when_its_last_checkpoint_is_damaged(copy):
    last = copy / "checkpoints/last.pt"
    last.write_bytes(last.read_bytes()[:-1000])
    rows = metrics(copy)
    code, _, err = resume(copy)
    assert code == 2
    assert "is complete" in err
    assert metrics(copy) == rows


@pytest.mark.slow
def test_a_run_that_early_stopping_ended_is_complete(tmp_path):
    # At rate 0 nothing improves after the first epoch.
    options = [*TINY, "trainer.epochs=9", "trainer.early_stopping=2", "optimizer.lr=0"]
    assert run(*options, "trainer.ema=null", folder=tmp_path)[0] == 0
    (directory,) = directories(tmp_path)
    results = read_results(directory)
    assert results["epochs"] < 9
    for changes in ([], ["trainer.epochs=20"]):
        code, _, err = resume(directory, *changes)
        assert code == 2
        assert f"is complete: early stopping ended it after {results['epochs']} epochs" in err
    assert read_results(directory) == results


def test_other_settings_cannot_change(copy):
    for change in ("optimizer.lr=0.1", "head=fc", "head.scale=3", "seed=3", "sweep=heads"):
        code, out, err = resume(copy, change)
        assert code == 2
        assert f"{change.partition('=')[0]} can't change. Only trainer.epochs" in err
        assert "Traceback" not in out + err


@pytest.mark.slow
def test_epochs_can_grow_and_it_is_the_run_that_was_longer_from_the_start(tmp_path):
    """Under a schedule that does not look at the end."""
    options = [*TINY, "schedule=constant", "head.dropout=0.3"]
    assert run(*options, "trainer.epochs=2", folder=tmp_path)[0] == 0
    (directory,) = directories(tmp_path)
    code, out, err = resume(directory, "trainer.epochs=4")
    assert (code, err) == (0, "")
    assert "resumes   after 2 epochs" in out
    longer = tmp_path / "longer"
    longer.mkdir()
    assert run(*options, "trainer.epochs=4", folder=longer)[0] == 0
    (expected,) = directories(longer)
    check_equal(directory, expected)
    assert "trainer.epochs=4" in (directory / "config.yaml").read_text().splitlines()[0]
    code, _, err = resume(directory, "trainer.epochs=abc")
    assert code == 2
    assert "trainer.epochs takes a whole number" in err


@pytest.mark.slow
def test_a_run_from_before_its_data_set_moved_is_continued_and_taken_as_a_source(copy):
    """Until 0.2.0: see records/renamed_targets.py."""
    config = copy / "config.yaml"
    old = config.read_text().replace("gapfc.data.sources.digits.", "gapfc.data.digits.")
    assert old != config.read_text()
    config.write_text(old)
    code, _, err = resume(copy, "trainer.epochs=13", "trainer.device=cpu")
    assert (code, err) == (0, "")
    assert "gapfc.data.sources.digits." in config.read_text()
    config.write_text(old)
    target = ["dataset=digits", "protocol=linear_probe", *TINY[3:]]
    code, _, err = run("transfer", f"source={copy}", *target, folder=copy.parents[5])
    assert (code, err) == (0, "")


def test_a_run_that_is_trained_on_has_no_results_until_it_ends(copy):
    """Or its old ones, if it is killed, would say that the new epochs were complete."""
    command = start("train", f"resume={copy}", "trainer.epochs=500", folder=copy.parents[5])
    until(lambda: len(metrics(copy)) > 12, command)
    command.signal(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    assert not (copy / "results.json").exists()
    assert not (copy / "predictions.npz").exists()


def unfinished(copy, keep):
    """Make the run look as if it was killed after `keep` epochs' checkpoints were written."""
    (copy / "results.json").unlink()
    for name in {"last.pt", "previous.pt", "best.pt"} - set(keep):
        (copy / "checkpoints" / name).unlink()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "gone"])
def test_without_a_readable_last_checkpoint_the_one_before_is_used(damage, copy, whole):
    unfinished(copy, ["last.pt", "previous.pt", "best.pt"])
    last = copy / "checkpoints/last.pt"
    if damage == "truncated":
        last.write_bytes(last.read_bytes()[:-1000])
    elif damage == "empty":
        last.write_bytes(b"")
    elif damage == "foreign":
        last.write_bytes(b"GIF89a")
    else:
        last.unlink()
    code, out, err = resume(copy)
    assert (code, err) == (0, "")
    assert "Continuing from" in out
    assert "previous.pt, the one before" in out
    check_equal(copy, whole)


def test_a_run_without_a_readable_checkpoint_is_refused_with_words(copy):
    unfinished(copy, ["last.pt"])
    (copy / "checkpoints/last.pt").write_bytes(b"not a checkpoint")
    code, out, err = resume(copy)
    assert code == 2
    assert "last.pt is damaged or not a checkpoint" in err
    assert "Traceback" not in out + err


@pytest.mark.slow
@pytest.mark.parametrize("left", [[], ["best.pt", ".last.pt.123.tmp"]])
def test_a_run_killed_before_its_first_checkpoint_begins_again(left, copy, whole):
    unfinished(copy, [])
    table = copy / "metrics.csv"  # the first epoch is there before its checkpoint
    table.write_text("".join(table.read_text().splitlines(True)[:2]))
    for name in left:
        (copy / "checkpoints" / name).write_bytes(b"half a file")
    code, _, err = resume(copy)
    assert (code, err) == (0, "")
    check_equal(copy, whole)


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_refused_with_words(copy, tmp_path):
    assert run(*TINY, "head=nin", "trainer.epochs=1", folder=tmp_path)[0] == 0
    other = next(d for d in directories(tmp_path) if d.parent.name == "nin")
    unfinished(copy, ["last.pt", "best.pt"])
    shutil.copy(other / "checkpoints/last.pt", copy / "checkpoints/last.pt")
    code, out, err = resume(copy)
    assert code == 2
    assert "The settings were changed since" in err
    assert len(err.strip().splitlines()) <= 3
    assert "Traceback" not in out + err
