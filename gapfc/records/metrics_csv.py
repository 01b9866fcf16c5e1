"""metrics.csv: one row per epoch, written as the run proceeds."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from gapfc.records.atomic import atomic_write_text

METRICS = "metrics.csv"
COLUMNS = (
    "epoch", "step", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_top5",
    "val_balanced_accuracy", "gradient_backbone", "gradient_head", "drift_backbone", "drift_head",
    "images_per_second", "seconds",
)  # fmt: skip

LARGEST_FILE = 64 * 2**20  # bytes; an epoch takes about 200
LARGEST_WHOLE = 2**53  # beyond it numbers are no longer whole as a float

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


def write_rows(path: Path, rows: Iterable[Mapping[str, float | None]]) -> None:
    """Write the file anew, as `append_row` would have, one of `rows` after the other."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(map(_cells, rows))
    atomic_write_text(path, text.getvalue())


def read_rows(path: Path) -> list[EpochRow]:
    """The epochs so far, None for an empty cell; a truncated last line is left out.

    Raises OSError, or ValueError if it is not a table of numbers, or too large for one.
    """
    # A pipe would be waited for, for ever.
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"has more than {LARGEST_FILE >> 20} MiB")
    text = content.decode("utf-8")
    try:
        lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
    except csv.Error as error:
        raise ValueError(str(error)) from error
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
    try:
        number = int(cell) if column in ("epoch", "step") else float(cell)
    except ValueError:
        raise ValueError(f"has {cell[:40]!r} as {column}, which is not a number") from None
    if isinstance(number, int) and not 0 <= number <= LARGEST_WHOLE:
        raise ValueError(f"has {cell[:40]!r} as {column}")
    return number
