"""metrics.csv: one row per epoch, written as the run proceeds."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from gapfc.records.atomic import atomic_write_text

METRICS = "metrics.csv"
COLUMNS = (
    "epoch", "step", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_top5",
    "gradient_backbone", "gradient_head", "drift_backbone", "drift_head", "images_per_second",
    "seconds",
)  # fmt: skip

EpochRow = dict[str, float | None]


def append_row(path: Path, row: Mapping[str, float | None]) -> None:
    """Add an epoch, safe from a kill when this returns; None is an empty cell.

    Raises ValueError for an unknown column, OSError if it cannot be written.
    """
    unknown = sorted(set(row) - set(COLUMNS))
    if unknown:
        raise ValueError(f"{METRICS} has no column {', '.join(unknown)}")
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            table.writerow(COLUMNS)
        table.writerow(_cells(row))


def truncate(path: Path, epoch: int) -> None:
    """Drop the rows after `epoch`, and any row that a crash cut short."""
    rows = read_rows(path) if path.exists() else []
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_cells(row) for row in rows if (row["epoch"] or 0) <= epoch)
    atomic_write_text(path, text.getvalue())


def read_rows(path: Path) -> list[EpochRow]:
    """The epochs so far, None for an empty cell; a truncated last line is left out.

    Raises OSError, or ValueError if a row has too few cells or one that is not a number.
    """
    text = path.read_text(encoding="utf-8")
    lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
    if not lines:
        return []
    header, *body = lines
    if any(len(cells) != len(header) for cells in body):
        raise ValueError("has rows of unequal length")
    return [
        {column: _number(column, cell) for column, cell in zip(header, cells, strict=True)}
        for cells in body
    ]


def _cells(row: Mapping[str, float | None]) -> list[str]:
    # repr: a resumed run compares bits.
    return ["" if row.get(column) is None else repr(row[column]) for column in COLUMNS]


def _number(column: str, cell: str) -> float | None:
    if not cell:
        return None
    return int(cell) if column in ("epoch", "step") else float(cell)
