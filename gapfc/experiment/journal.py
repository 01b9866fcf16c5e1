"""What is written while a model trains: metrics.csv, TensorBoard and the terminal."""

import logging
import os
import sys
import time
from typing import Any

from tqdm import tqdm

from gapfc.experiment.time_left import TimeLeft
from gapfc.formatting import NOTHING, duration
from gapfc.records.metrics_csv import append_row
from gapfc.records.run_directory import RunDirectory
from gapfc.system.terminal import leave_if_gone
from gapfc.tensorboard.events import TensorBoardLog

log = logging.getLogger(__name__)

REFRESH = 0.1  # seconds between two states of the bar: updating tqdm at every step would cost time
WIDE = 110  # columns from which on the bar leaves room for batches and speed
# Above the lines of the epochs: each, and its heading, fits 80 columns.
HEADING = (
    "              training           validation    * best so far",
    "  epoch     loss  accuracy      loss  {score:>8}       images/s    time left",
)
SCORES = {"val_accuracy": "accuracy", "val_balanced_accuracy": "balanced"}


class Journal:
    """Follows a run, as `gapfc.engine.fit.Listener` asks.

    There is one line per epoch; on a terminal, a bar below it shows how far the run is.

    Args:
        directory: of the run.
        tensorboard: its events.
        epochs: that the run will have.
        bar: whether to show a progress bar; None: only if standard error is a terminal.
        score: the column, one of SCORES, that chooses the best epoch and is shown of validation.
    """

    def __init__(
        self,
        directory: RunDirectory,
        tensorboard: TensorBoardLog,
        epochs: int,
        bar: bool | None = None,
        score: str = "val_accuracy",
    ) -> None:
        self._directory = directory
        self._tensorboard = tensorboard
        self._epochs = epochs
        self._score = score
        self.shows_bar = sys.stderr.isatty() if bar is None else bar
        self._bar: tqdm[Any] | None = None
        self._left = TimeLeft(epochs)
        self._headed = False
        self._sampled: list[str] = []  # loss, accuracy and speed at the last sampled step
        self._due = 0.0

    def batch(self, epoch: int, done: int, total: int) -> None:
        """Move the bar to batch `done` of `total` in `epoch` (counted from 0)."""
        self._left.batch(epoch, done, total)
        if not self._headed:
            self._heading()
        now = time.perf_counter()
        if not self.shows_bar or (now < self._due and done < total):
            return
        if self._bar is not None and leave_if_gone():
            self.shows_bar = False
            return
        self._due = now + REFRESH
        position = epoch * total + done
        shown = self._shown(epoch, done, total)
        if self._bar is None:
            self._bar = tqdm(
                total=self._epochs * total,
                initial=position - 1,
                dynamic_ncols=True,
                mininterval=0,
                miniters=1,
                leave=False,
                bar_format=shown,
            )
        self._bar.bar_format = shown
        self._bar.update(position - self._bar.n)

    def sample(self, step: int, scalars: dict[str, float]) -> None:
        """Log a sampled step, and show its loss and accuracy beside the bar."""
        tags = {"loss": "loss/train", "lr": "optimizer/lr"}
        for name in scalars:
            if name.startswith("gradient_"):
                tags[name] = name.replace("_", "/", 1)
        self._tensorboard.scalars({tag: scalars[name] for name, tag in tags.items()}, step)
        self._sampled = [
            f"loss {scalars['loss']:.4f}",
            f"accuracy {scalars['accuracy']:.1%}",
            f"{scalars['images_per_second']:.0f} images/s",
        ]

    def epoch(self, row: dict[str, Any], improved: bool) -> None:
        """Write the epoch's row to metrics.csv, TensorBoard and the terminal."""
        append_row(self._directory.metrics, row)
        tags = {
            "train_accuracy": "accuracy/train",
            "val_loss": "loss/val",
            "val_accuracy": "accuracy/val",
            "val_top5": "accuracy/val_top5",
            "drift_backbone": "drift/backbone",
            "drift_head": "drift/head",
            "images_per_second": "speed/images_per_second",
            "epoch": "epoch",
        }
        scalars = {tag: row.get(name) for name, tag in tags.items()}
        self._tensorboard.scalars(scalars, row["step"])
        self._heading()
        left = self._left.after(row["epoch"])
        log.info(
            "%7s %8.4f %9s  %8.4f %9s %s %12.0f %12s",
            f"{row['epoch']}/{self._epochs}",
            row["train_loss"],
            _percent(row["train_accuracy"]),
            row["val_loss"],
            _percent(row[self._score]),
            "*" if improved else " ",
            row["images_per_second"],
            NOTHING if left is None else duration(left),
        )

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()

    def _shown(self, epoch: int, done: int, total: int) -> str:
        """What the bar says, as tqdm's `bar_format`."""
        wide = _columns() >= WIDE
        batches = f", batch {done}/{total}" if wide else ""
        left = self._left.within()
        told = [] if left is None else [f"{duration(left)} left"]
        told += self._sampled[: None if wide else 2]
        return (
            f"epoch {epoch + 1}/{self._epochs}{batches} {{percentage:3.0f}}%|{{bar}}| "
            f"{', '.join(told)}"
        )

    def _heading(self) -> None:
        if not self._headed:
            self._headed = True
            for line in HEADING:
                log.info(line.format(score=SCORES[self._score]))


def _columns() -> int:
    """Of the terminal that the bar is drawn on, which may not be that of standard output."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # a file or a pipe
        return 80


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2%}"
