"""Runs whose files were damaged or edited: continued exactly, or refused with nothing touched."""

import re
import shutil

import pytest
import torch
from processes import run

from gapfc.engine import checkpoint

OPTIONS = [
    "train", "dataset=synthetic_shapes", "dataset.image_size=16", "dataset.train_limit=64",
    "dataset.test_limit=16", "head=gap", "trainer.batch_size=16", "trainer.epochs=3",
    "trainer.device=cpu", "optimizer=adamw",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A complete run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    code, out, err = run(*OPTIONS, folder=folder)
    assert (code, err) == (0, ""), out
    (config,) = folder.rglob("config.yaml")
    return config.parent


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it to be damaged, which its process did not live to complete."""
    target = tmp_path / "user" / "copy"
    shutil.copytree(whole, target)
    (target / "results.json").unlink()
    return target


def resume(path, *changes):
    return run("train", f"resume={path}", *changes, folder=path.parent)


def files(path):
    return {p: p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != ".lock"}


def check_refused(path, *words, changes=()):
    """It is refused in these words, in at most four lines, and no file is touched."""
    before = files(path)
    code, out, err = resume(path, *changes)
    assert code == 2, (code, out, err)
    for word in words:
        assert re.search(word, err), err
    assert "Traceback" not in out + err
    assert len(err.strip().splitlines()) <= 4
    assert files(path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut"),
        pytest.param(lambda whole: b"\xff\xfe" + whole, id="binary"),
        pytest.param(None, id="gone"),
        pytest.param(lambda whole: b"", id="emptied"),
        pytest.param(lambda whole: b"\0" * 300, id="zeroed"),
        pytest.param(lambda whole: whole + b"\0" * 100, id="NUL tail"),
        pytest.param(
            lambda whole: whole + whole.splitlines(True)[-1] * 2,
            id="duplicated",
        ),
    ],
)
def test_metrics_csv_is_written_anew_from_the_checkpoint(damage, copy, whole):
    table = copy / "metrics.csv"
    table.unlink()
    if damage is not None:
        table.write_bytes(damage((whole / "metrics.csv").read_bytes()))
    code, _, err = resume(copy)
    assert (code, err) == (0, "")
    assert table.read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  lr: ", "  lr: 7.0 #", r"optimizer.lr was 0.\d+ and is 7.0 now"),
        ("seed: 0", "seed: 5", "seed was 0 and is 5 now"),
        ("  batch_size: 16", "  batch_size: 8", "trainer.batch_size was 16 and is 8 now"),
        ("  train_limit: 64", "  train_limit: 32", "dataset.train_limit was 64 and is 32 now"),
    ],
)
def test_an_edited_config_is_refused_with_the_key(old, new, words, copy):
    config = copy / "config.yaml"
    text = config.read_text()
    assert f"\n{old}" in text
    config.write_text(text.replace(f"\n{old}", f"\n{new}", 1))
    check_refused(copy, words, "put config.yaml back as it was; for other settings, start a new")


@pytest.mark.slow
def test_a_checkpoint_from_before_settings_were_recorded_is_accepted(copy):
    """Until 0.2.0."""
    last = copy / "checkpoints/last.pt"
    state = checkpoint.load(last)
    del state["identity"]
    checkpoint.save(last, state)
    assert resume(copy)[0] == 0


WRONG = [
    ("optimizer", [], "optimizer was expected to be a mapping; it holds"),
    ("optimizer.state.0.exp_avg", torch.zeros(7), "optimizer.state.0.exp_avg was expected to be"),
    ("optimizer.state.0", {"step": 1}, "optimizer.state.0.exp_avg was expected to be there"),
    ("optimizer.param_groups.0.lr", float("nan"), "groups.0.lr was expected to be a number"),
    ("schedule", {"cuts": 1}, "schedule.cuts was expected not to be there"),
    ("progress.epoch", 10**9, "history was expected to have a row for each of 1000000000 epochs"),
    ("progress.batch", -1, "progress.batch was expected to be a whole number of at least 0"),
    ("progress.batch", 99, r"progress.batch was expected to be at most the \d of an epoch; .* 99"),
    ("progress.seconds", float("nan"), "seconds was expected to be a number of at least 0"),
    ("progress.history", 3, "history was expected to have a row"),
    ("progress.history", [1, 2, 3], "history.0 was expected to be a row of metrics.csv"),
    ("progress.best_epoch", 9, "best_epoch was expected to be at most the 3 done; it holds 9"),
    ("identity", "[" * 10**5, "does not say which settings it belongs to"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "value", "words"),
    # Each is a process of its own: a few by default.
    [
        pytest.param(*wrong, marks=[pytest.mark.slow] if index % 4 else [])
        for index, wrong in enumerate(WRONG)
    ],
)
def test_a_wrong_entry_is_refused_with_its_name(entry, value, words, copy):
    last = copy / "checkpoints/last.pt"
    state = checkpoint.load(last)
    *parents, name = (int(n) if n.isdigit() else n for n in entry.split("."))
    node = state
    for parent in parents:
        node = node[parent]
    node[name] = value
    checkpoint.save(last, state)
    check_refused(copy, "last.pt", words)


@pytest.mark.slow
def test_a_damaged_best_checkpoint_is_said_when_resuming(copy):
    best = copy / "checkpoints/best.pt"
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 1
    best.write_bytes(content)
    words = r"It held the weights of epoch \d, which no .*: this run cannot be finished"
    check_refused(copy, r"best.pt is damaged .* the checksum of .* is wrong", words)
    best.unlink()
    check_refused(copy, r"There is no checkpoint .*best.pt", words)


@pytest.mark.slow
def test_a_bit_of_the_last_checkpoint_costs_one_epoch(copy):
    last = copy / "checkpoints/last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    code, out, err = resume(copy)
    assert (code, err) == (0, "")
    assert re.search(r"the checksum of \S+ is wrong. Continuing from \S+previous.pt, the one", out)
    assert [row["epoch"] for row in checkpoint.load(last)["progress"]["history"]] == [1, 2, 3]


@pytest.mark.slow
def test_what_was_trained_is_never_trained_over(copy, whole):
    shutil.rmtree(copy / "checkpoints")
    (copy / "checkpoints").mkdir()
    missing = "has been trained, but its checkpoints are missing"
    check_refused(copy, missing)
    shutil.copy(whole / "results.json", copy)
    check_refused(copy, missing, changes=["trainer.epochs=30"])
    (copy / "results.json").unlink()
    (copy / "metrics.csv").write_bytes(b"\xff\n")
    check_refused(copy, "nothing tells how far the run had come")


@pytest.mark.slow
def test_an_older_checkpoint_does_not_replace_results(copy, whole):
    shutil.copy(whole / "results.json", copy)
    last = copy / "checkpoints/last.pt"
    state = checkpoint.load(last)
    state["progress"] |= {"epoch": 1, "best_epoch": 1}
    del state["progress"]["history"][1:]
    checkpoint.save(last, state)
    words = "last.pt is of epoch 1, but the run is complete with 3"
    check_refused(copy, words, changes=["trainer.epochs=9"])
