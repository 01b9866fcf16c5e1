"""What is written while a model trains: metrics.csv, TensorBoard and the terminal."""

import logging
import sys
import time
from typing import Any

from tqdm import tqdm

from gapfc.records.metrics_csv import append_row
from gapfc.records.run_directory import RunDirectory
from gapfc.system.terminal import leave_if_gone
from gapfc.tensorboard.events import TensorBoardLog

log = logging.getLogger(__name__)

REFRESH = 0.1  # seconds between two states of the bar: updating tqdm at every step would cost time


class Journal:
    """Follows a run, as `gapfc.engine.fit.Listener` asks.

    On a terminal a bar shows the run at hand and the time left; elsewhere there is one line per
    epoch, which reads well in a log file.

    Args:
        directory: of the run.
        tensorboard: its events.
        epochs: that the run will have.
        bar: whether to show a progress bar; None: only if standard error is a terminal.
    """

    def __init__(
        self,
        directory: RunDirectory,
        tensorboard: TensorBoardLog,
        epochs: int,
        bar: bool | None = None,
    ) -> None:
        self._directory = directory
        self._tensorboard = tensorboard
        self._epochs = epochs
        self.shows_bar = sys.stderr.isatty() if bar is None else bar
        self._bar: tqdm[Any] | None = None
        self._started: tuple[float, int] | None = None
        self._due = 0.0

    def batch(self, epoch: int, done: int, total: int) -> None:
        """Move the bar to batch `done` of `total` in `epoch` (counted from 0)."""
        now = time.perf_counter()
        if self._started is None:
            self._started = (now, epoch)
        if not self.shows_bar or (now < self._due and done < total):
            return
        if self._bar is not None and leave_if_gone():
            self.shows_bar = False
            return
        self._due = now + REFRESH
        position = epoch * total + done
        if self._bar is None:
            self._bar = tqdm(
                total=self._epochs * total,
                initial=position - 1,
                dynamic_ncols=True,
                mininterval=0,
                miniters=1,
                leave=False,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}",
            )
        self._bar.set_description_str(
            f"epoch {epoch + 1}/{self._epochs}, batch {done}/{total}", refresh=False
        )
        self._bar.update(position - self._bar.n)

    def sample(self, step: int, scalars: dict[str, float]) -> None:
        """Log a sampled step, and show its loss and accuracy beside the bar."""
        tags = {"loss": "loss/train", "lr": "optimizer/lr"}
        for name in scalars:
            if name.startswith("gradient_"):
                tags[name] = name.replace("_", "/", 1)
        self._tensorboard.scalars({tag: scalars[name] for name, tag in tags.items()}, step)
        if self._bar is not None:
            self._bar.set_postfix_str(
                f"loss {scalars['loss']:.4f}, accuracy {scalars['accuracy']:.1%}, "
                f"{scalars['images_per_second']:.0f} images/s",
                refresh=False,
            )

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
        log.info(
            "epoch %*d/%d   train loss %.4f  accuracy %s   validation loss %s  accuracy %s%s   "
            "%.0f images/s   %s left",
            len(str(self._epochs)),
            row["epoch"],
            self._epochs,
            row["train_loss"],
            _percent(row["train_accuracy"]),
            f"{row['val_loss']:.4f}",
            _percent(row["val_accuracy"]),
            "*" if improved else " ",
            row["images_per_second"],
            self._time_left(row["epoch"]),
        )

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()

    def _time_left(self, epoch: int) -> str:
        if self._started is None:
            return "-"
        begin, first = self._started
        seconds = (time.perf_counter() - begin) / (epoch - first) * (self._epochs - epoch)
        return tqdm.format_interval(seconds)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:6.2%}"
