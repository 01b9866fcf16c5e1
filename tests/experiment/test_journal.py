"""The lines of a run on a terminal, and the time they say is left."""

import logging
from types import SimpleNamespace

import pytest

from gapfc.experiment.journal import Journal
from gapfc.experiment.time_left import TimeLeft

EPOCHS, BATCHES = 10, 20
BATCH, PAUSE = 0.5, 4.0  # seconds of a batch, and of validation and saving


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def train(clock, left, epochs, begun=0):
    """Train `epochs` epochs, the first from batch `begun` on."""
    for epoch in epochs:
        for batch in range(begun if epoch == epochs[0] else 0, BATCHES):
            clock.now += BATCH
            left.batch(epoch, batch + 1, BATCHES)
        clock.now += PAUSE


def whole(epochs):
    return epochs * (BATCHES * BATCH + PAUSE)


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_validation_is_part_of_the_time_left(epochs):
    clock = Clock()
    left = TimeLeft(EPOCHS, clock)
    train(clock, left, range(epochs))
    assert left.after(epochs) == pytest.approx(whole(EPOCHS - epochs))


@pytest.mark.parametrize("begun", [0, 1, 10, 18])
def test_after_a_resume_only_what_is_left_counts(begun):
    """Also where the run goes on in the middle of an epoch, shortly before its end."""
    clock = Clock()
    left = TimeLeft(EPOCHS, clock)
    train(clock, left, [7], begun)
    assert left.after(8) == pytest.approx(whole(2))
    train(clock, left, [8])
    assert left.after(9) == pytest.approx(whole(1))


def test_within_an_epoch():
    clock = Clock()
    left = TimeLeft(EPOCHS, clock)
    train(clock, left, range(4))
    for batch in range(5):
        clock.now += BATCH
        left.batch(4, batch + 1, BATCHES)
    assert left.within() == pytest.approx(whole(6) - 5 * BATCH)


def test_what_cannot_be_told_is_not_told():
    clock = Clock()
    left = TimeLeft(3, clock)
    assert left.after(1) is None  # nothing was trained, as by a linear probe
    assert left.after(3) == 0
    left.batch(0, 1, 1)
    clock.now += PAUSE
    assert left.after(1) is None  # one batch per epoch: how long it took is seen at the second
    clock.now += BATCH
    left.batch(1, 1, 1)
    clock.now += PAUSE
    assert left.after(2) == pytest.approx(PAUSE + BATCH)


@pytest.fixture
def journal(tmp_path):
    directory = SimpleNamespace(metrics=tmp_path / "metrics.csv")
    silent = SimpleNamespace(scalars=lambda *_: None)
    return Journal(directory, silent, epochs=200, bar=False)


def row(epoch, **changed):
    return {
        "epoch": epoch, "step": epoch, "lr": 0.1, "train_loss": 1.25, "train_accuracy": 0.5,
        "val_loss": 0.75, "val_accuracy": 0.625, "images_per_second": 123456.0, **changed,
    }  # fmt: skip


def test_lines_fit_eighty_columns_below_one_heading(journal, caplog):
    caplog.set_level(logging.INFO)
    journal.batch(0, 1, 100)
    journal.epoch(row(1), improved=True)
    journal.epoch(row(200, train_loss=12.5, val_accuracy=1.0), improved=False)
    journal.epoch(row(3, train_accuracy=None), improved=False)
    above, heading, *lines = (record.getMessage() for record in caplog.records)
    assert above.endswith("* best so far")
    assert [line.split() for line in lines] == [
        ["1/200", "1.2500", "50.00%", "0.7500", "62.50%", "*", "123456", "–"],
        ["200/200", "12.5000", "50.00%", "0.7500", "100.00%", "123456", "0", "s"],
        ["3/200", "1.2500", "–", "0.7500", "62.50%", "123456", "–"],
    ]
    assert {len(line) for line in (heading, *lines)} == {len(heading)}
    assert len(heading) <= 80
    for column in ("epoch", "images/s", "time left"):
        end = heading.index(column) + len(column)
        assert all(line[end - 1] != " " for line in lines), column
        assert all(line[end : end + 1].strip() == "" for line in lines), column
    assert above.index("*") == lines[0].index("*")
