"""When checkpoints are written, and that best.pt and last.pt always belong together."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gapfc.engine import checkpoint, keeper
from gapfc.engine.keeper import SHARE, Keeper


class Disk:
    """A clock, and a disk on which each checkpoint takes `takes` seconds and may fail."""

    def __init__(self, monkeypatch, takes):
        self.now, self.takes, self.writing, self.written = 0.0, takes, 0.0, []
        self.fails = False
        monkeypatch.setattr(checkpoint, "save", lambda path, state: self._write(path.name, state))
        monkeypatch.setattr(
            checkpoint, "save_last", lambda folder, state: self._write("last.pt", state)
        )

    def _write(self, name, state):
        if self.fails:
            raise OSError("no space")
        self.now += self.takes
        self.writing += self.takes
        weights = state["model"]["w"].clone() if "model" in state else None
        self.written.append((name, state["epoch"], weights))


def train(disk, folder, epochs, seconds, better=(), kept=None):
    """`epochs` epochs of `seconds` each, of which those in `better` improve; the final one ends.

    The weight is the epoch's number, in place, as in training.
    """
    weight = torch.zeros(2)
    kept = kept or Keeper(folder, lambda: disk.now)
    for epoch in range(1, epochs + 1):
        disk.now += seconds
        weight.fill_(epoch)
        best = {"model": {"w": weight}, "epoch": epoch} if epoch in better else None
        kept.keep(lambda epoch=epoch: {"epoch": epoch}, best, at_once=epoch in (1, epochs))
        weight.fill_(-1)  # what waits is a copy
    return kept


def told(disk):
    return [(name, epoch) for name, epoch, _ in disk.written]


def test_what_is_cheap_is_written_each_epoch(monkeypatch, tmp_path):
    disk = Disk(monkeypatch, takes=0.02)
    train(disk, tmp_path, 3, seconds=1.0, better=(1, 3))
    assert told(disk) == [
        ("best.pt", 1), ("last.pt", 1), ("last.pt", 2), ("best.pt", 3), ("last.pt", 3),
    ]  # fmt: skip


def test_what_is_dear_is_written_at_the_first_epoch_at_the_last_and_rarely_between(
    monkeypatch, tmp_path
):
    disk = Disk(monkeypatch, takes=1.0)
    train(disk, tmp_path, 50, seconds=1.0, better=(1, 7, 12, 30))
    # 2 s of writing after epoch 1, so that 38 s pass until the next: epochs 2 to 39.
    assert told(disk) == [
        ("best.pt", 1), ("last.pt", 1), ("best.pt", 30), ("last.pt", 39), ("last.pt", 50),
    ]  # fmt: skip
    assert disk.written[2][2].tolist() == [30, 30]


@given(st.floats(0.001, 5), st.floats(0.01, 10), st.integers(2, 60), st.data())
def test_the_share_and_the_pairs(takes, seconds, epochs, data):
    better = {1} | data.draw(st.sets(st.integers(1, epochs)))
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, takes)
        train(disk, Path(), epochs, seconds, better)
    lasts = [epoch for name, epoch, _ in disk.written if name == "last.pt"]
    assert (lasts[0], lasts[-1]) == (1, epochs)
    best = None
    for name, epoch, weights in disk.written:
        if name == "best.pt":
            best = epoch
            assert weights.tolist() == [epoch, epoch]
        else:
            assert best == max(b for b in better if b <= epoch)
    # But for the last writing, which has to be: each was paid for by the time that followed it.
    final = 2 if disk.written[-2][0] == "best.pt" else 1
    regular = disk.writing - final * takes
    before = epochs * seconds + regular
    latest = 2 if disk.written[-final - 2][0] == "best.pt" else 1
    assert regular - latest * takes <= SHARE * before + 1e-6


def test_when_interrupted_what_waits_is_written(monkeypatch, tmp_path):
    disk = Disk(monkeypatch, takes=5.0)
    kept = Keeper(tmp_path, lambda: disk.now)
    weight = torch.ones(2)
    kept.keep(lambda: {"epoch": 1}, {"model": {"w": weight}, "epoch": 1}, at_once=True)
    kept.keep(lambda: {"epoch": 2}, {"model": {"w": weight * 2}, "epoch": 2})
    kept.keep(lambda: {"epoch": 3})
    kept.keep(lambda: {"epoch": 3.5}, at_once=True)
    assert told(disk)[2:] == [("best.pt", 2), ("last.pt", 3.5)]
    kept.keep(lambda: {"epoch": 4}, at_once=True)
    assert told(disk)[4:] == [("last.pt", 4)]


def test_what_could_not_be_written_still_waits(monkeypatch, tmp_path):
    disk = Disk(monkeypatch, takes=5.0)
    kept = Keeper(tmp_path, lambda: disk.now)
    kept.keep(lambda: {"epoch": 1}, at_once=True)
    kept.keep(lambda: {"epoch": 2}, {"model": {"w": torch.ones(1)}, "epoch": 2})
    disk.fails = True
    with pytest.raises(OSError, match="no space"):
        kept.keep(lambda: {"epoch": 3}, at_once=True)
    disk.fails = False
    kept.keep(lambda: {"epoch": 3}, at_once=True)
    assert told(disk)[1:] == [("best.pt", 2), ("last.pt", 3)]


def test_a_state_that_is_not_written_is_not_even_made(monkeypatch, tmp_path):
    disk = Disk(monkeypatch, takes=5.0)
    kept = Keeper(tmp_path, lambda: disk.now)
    kept.keep(lambda: {"epoch": 1}, at_once=True)
    kept.keep(lambda: pytest.fail("it was made"))


def test_the_copy_that_waits_is_written_over_by_the_next(monkeypatch, tmp_path):
    state = {"model": {"w": torch.ones(3)}, "epoch": 2}
    first = keeper._copied(state, None)
    place = first["model"]["w"].data_ptr()
    second = keeper._copied({"model": {"w": torch.full((3,), 4.0)}, "epoch": 5}, first)
    assert second["model"]["w"].data_ptr() == place
    assert second["model"]["w"].tolist() == [4, 4, 4]
    assert second["epoch"] == 5
    assert state["model"]["w"].tolist() == [1, 1, 1]


def test_on_a_real_disk(tmp_path):
    kept = Keeper(tmp_path)
    kept.keep(lambda: {"model": {"w": torch.ones(2)}}, {"model": {"w": torch.zeros(2)}, "epoch": 3})
    assert checkpoint.load(tmp_path / "best.pt")["epoch"] == 3
    assert checkpoint.load_last(tmp_path)[1]["model"]["w"].tolist() == [1, 1]
