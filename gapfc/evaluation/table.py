"""What probes found, in a few columns: a row for each head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from gapfc.evaluation.evaluate import Evaluated
from gapfc.formatting import NOTHING, printable, wrapped

Values = Mapping[str, Any]
MIDDLE = "3"  # of the severities
PARTS = ("dataset", "backbone", "head")


@dataclass(frozen=True)
class Column:
    """title: over it; meaning: of the title, in the key below; read: its number of a run."""

    title: str
    meaning: str
    read: Callable[[Values], float | None]


def table(evaluated: Iterable[Evaluated]) -> str:
    """A row for each head, and below what the columns are; empty without any.

    Runs with one data set, backbone, head and protocol share a row.
    """
    groups: dict[tuple[str, ...], list[Values]] = {}
    for one in evaluated:
        if one.probes is not None:
            protocol = str(one.run.config.get("protocol") or "")
            names = (*(one.run.name(part) for part in PARTS), protocol)
            groups.setdefault(names, []).append(one.probes.values)
    if not groups:
        return ""
    # Only what tells the rows apart.
    varies = [len(set(column)) > 1 for column in zip(*groups, strict=True)]
    varies[PARTS.index("head")] = True
    columns = _columns(next(iter(groups.values()))[0])
    rows = [["", "runs", *(column.title for column in columns)]]
    for names, runs in groups.items():
        label = " ".join(name for name, shown in zip(names, varies, strict=True) if shown)
        cells = (_mean([column.read(values) for values in runs]) for column in columns)
        rows.append([printable(label, 24), str(len(runs)), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if not number else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    titles: dict[str, list[str]] = {}
    for column in columns:
        titles.setdefault(column.meaning, []).append(column.title)
    meanings = (f"{', '.join(those)}: {meaning}" for meaning, those in titles.items())
    key = wrapped(f"In percent, means over runs. {'; '.join(meanings)}.", 80)
    return "\n".join([*lines, "", key])


def an_eighth(values: Values) -> str | None:
    """The shift, as in `probe.shift.zero.<n>`, of about an eighth of the side; None without one."""
    shifts = list(_at(values, "shift", "zero") or ())
    return shifts[-2:][0] if shifts else None  # the last is about a quarter


def _columns(values: Values) -> list[Column]:
    """Those of the probes in `values`: first accuracies, then what is lost of them."""
    found = [Column("clean", "accuracy", _share("clean", "accuracy"))]
    if "size" in values:
        at = "accuracy at that size (–: the head takes one size)"
        found += [
            Column(f"{f}×", at, _share("size", f, "native", "accuracy")) for f in ("0.75", "1.5")
        ]
    n = an_eighth(values)
    if n is not None:
        zero, circular = (_share("shift", fill, n, "drop") for fill in ("zero", "circular"))
        moved = (
            f"points lost when images move by {n} pixel{'' if n == '1' else 's'} and black comes in"
        )
        found.append(Column(f"−shift {n}", moved, zero))
        rolled = "the same where what leaves comes back at the other side"
        found.append(Column(f"−rolled {n}", rolled, circular))
    if "corruption" in values:
        lost = "points lost, the mean over five corruptions of severity 3"
        found.append(Column("−corrupt", lost, _corruption))
    if "calibration" in values:
        error = "how far it is from as sure as right (expected calibration error)"
        found.append(Column("ECE", error, _share("calibration", "ece")))
        best = "the temperature, a factor, of the least NLL"
        found.append(Column("T", best, lambda each: _number(each, "calibration", "temperature")))
    if "cam" in values:
        hits = "how often the peak of the class's map lies on the object"
        found.append(Column("point", hits, _share("cam", "pointing")))
    if "position" in values:
        told = "how often a readout of what the classifier sees tells the quadrant"
        found.append(Column("place", told, _share("position", "pooled", "accuracy")))
    return found


def _corruption(values: Values) -> float | None:
    clean = _number(values, "clean", "accuracy")
    kinds = _at(values, "corruption") or {}
    found = [_number(kinds, kind, MIDDLE, "accuracy") for kind in kinds]
    left = [value for value in found if value is not None]
    return None if clean is None or not left else 100 * (clean - fmean(left))


def _share(*path: str) -> Callable[[Values], float | None]:
    def read(values: Values) -> float | None:
        value = _number(values, *path)
        return None if value is None else 100 * value

    return read


def _number(values: Any, *path: str) -> float | None:
    found = _at(values, *path)
    return float(found) if isinstance(found, int | float) else None


def _at(values: Any, *path: str) -> Any:
    """What is stored there; None where a file of someone else's lacks it."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _mean(values: Sequence[float | None]) -> str:
    found = [value for value in values if value is not None]
    if not found:
        return NOTHING
    mean = fmean(found)
    return f"{mean:.2f}" if abs(mean) < 10 else f"{mean:.1f}"
