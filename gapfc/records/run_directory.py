"""The folder of one run: the only contract between training and everything after it."""

import csv
import io
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gapfc.errors import UserError
from gapfc.records.atomic import atomic_write_text
from gapfc.records.lock import Lock
from gapfc.records.results import RESULTS, finite, validate_results

CONFIG = "config.yaml"
METRICS = "metrics.csv"
COLUMNS = (
    "epoch",
    "step",
    "lr",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_top5",
    "gradient_backbone",
    "gradient_head",
    "drift_backbone",
    "drift_head",
    "images_per_second",
    "seconds",
)


class RunDirectory:
    """A run's folder. `create` and `resume` own it and may write; `open` only reads.

    Owning is exclusive between processes, and a new run always gets a folder of its own, so a
    finished run can only be continued, never overwritten.
    """

    def __init__(self, path: Path, lock: Lock | None) -> None:
        """For the class methods; path: an existing folder, lock: None for reading."""
        self.path = path
        self._lock = lock

    @classmethod
    def create(
        cls,
        output_root: str | Path,
        command: str,
        dataset: str,
        backbone: str,
        head: str,
        seed: int,
    ) -> "RunDirectory":
        """Make `<output_root>/<command>/<dataset>/<backbone>/<head>/<when>-s<seed>`.

        Runs of the same second get `-2`, `-3`, ...: making the folder is what decides, so two
        processes never share one. UserError when `output_root` cannot be written.
        """
        parent = cls.parent(output_root, command, dataset, backbone, head)
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-s{seed}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            count = 1
            while True:
                path = parent / (stem if count == 1 else f"{stem}-{count}")
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    count += 1
            directory = cls(path.resolve(), Lock(path / ".lock"))
            directory.checkpoints.mkdir()
        except OSError as error:
            raise UserError(
                f"No run directory can be made in {parent}: {error.strerror or error}. "
                "Set output_root to a folder that you may write to."
            ) from error
        return directory

    @staticmethod
    def parent(
        output_root: str | Path, command: str, dataset: str, backbone: str, head: str
    ) -> Path:
        """The folder in which `create` makes runs."""
        names = (command, dataset, backbone, head)
        return Path(output_root).expanduser().joinpath(*map(_safe, names))

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """An existing run, for reading; UserError when `path` is none."""
        path = Path(path).expanduser()
        if not path.exists():
            raise UserError(f"{path} does not exist: give the path of a run directory.")
        if not (path / CONFIG).is_file():
            raise UserError(
                f"{path} is not a run directory (it has no {CONFIG}): give the folder that "
                "holds config.yaml and metrics.csv, as printed at the start and end of a run."
            )
        return cls(path.resolve(), None)

    @classmethod
    def resume(cls, path: str | Path) -> "RunDirectory":
        """An existing run, to be continued; UserError also when another process has it."""
        directory = cls.open(path)
        try:
            directory._lock = Lock(directory.path / ".lock")
            directory.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{directory.path} cannot be written: {error.strerror or error}. A run is "
                "resumed in its own folder, which must be writable."
            ) from error
        return directory

    @property
    def checkpoints(self) -> Path:
        """The folder of last.pt and best.pt."""
        return self.path / "checkpoints"

    def write_config(self, yaml: str) -> None:
        """Write config.yaml, which is what makes the folder a run directory."""
        self._must_own()
        atomic_write_text(self.path / CONFIG, yaml)

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write results.json, valid schema 1; numbers that are not finite become null."""
        self._must_own()
        results = finite(results)
        validate_results(results)
        text = json.dumps(results, indent=2, allow_nan=False) + "\n"
        atomic_write_text(self.path / RESULTS, text)

    def append_metrics(self, row: Mapping[str, float | None]) -> None:
        """Add an epoch to metrics.csv, safe from a kill when this returns; None is empty."""
        self._must_own()
        unknown = sorted(set(row) - set(COLUMNS))
        if unknown:
            raise ValueError(f"metrics.csv has no column {', '.join(unknown)}")
        path = self.path / METRICS
        with path.open("a", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                table.writerow(COLUMNS)
            table.writerow(_cell(row.get(column)) for column in COLUMNS)

    def truncate_metrics(self, epoch: int) -> None:
        """Drop the rows after `epoch`, and one that a crash cut short."""
        self._must_own()
        rows = [row for row in self.metrics() if row["epoch"] <= epoch]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([_cell(row[column]) for column in COLUMNS] for row in rows)
        atomic_write_text(self.path / METRICS, text.getvalue())

    def metrics(self) -> list[dict[str, Any]]:
        """The epochs so far: epoch and step ints, the others floats, None where empty."""
        path = self.path / METRICS
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8")
        complete = text[: text.rfind("\n") + 1]
        return [
            {column: _number(column, row[column]) for column in COLUMNS}
            for row in csv.DictReader(io.StringIO(complete))
        ]

    def close(self) -> None:
        """Give up ownership."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _must_own(self) -> None:
        if self._lock is None:
            raise RuntimeError(f"{self.path} was opened for reading; use create or resume")


def _safe(name: str) -> str:
    """A name as one path component on any system: no separator, nothing hidden, never empty."""
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", str(name)).strip("-.") or "unnamed"


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _number(column: str, text: str) -> float | int | None:
    if not text:
        return None
    return int(text) if column in ("epoch", "step") else float(text)
