"""The table, a row a group: for the terminal and Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gapfc.compare.answer import Comparison, Row
from gapfc.compare.convergence import TimeToTarget
from gapfc.formatting import count, decimals, probability

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
# What goes first when the table is too wide. The rest always stays.
DROP = (
    "images/s", "MACs", "params", "AUC", "s to", "P(better)", "head params", "gap", "source",
    "epochs to",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column: `name` for --help and dropping, `title` as printed, and how a row fills it.

    best: picks the best of the rows' `number`s: -1 smallest, +1 largest, 0 none is marked.
    """

    name: str
    title: str
    text: Callable[[Row], str]
    number: Callable[[Row], float | None]
    best: int = 0
    left: bool = False


def columns(comparison: Comparison) -> list[Column]:
    """All columns that hold anything for this comparison, in the order they are printed."""
    metric = comparison.measure
    scale = metric.scale
    spreads = [
        scale * (row.interval.high - row.interval.low) / 2
        for row in comparison.rows
        if row.interval
    ]
    values = [scale * abs(row.mean) for row in comparison.rows if row.mean is not None]
    places = decimals(
        sorted(spreads)[len(spreads) // 2] if spreads else None,
        max(values, default=0.0),
        least=1 if scale == 100 else 0,
        most=2 if scale == 100 else 4,
    )

    def mean(row: Row) -> str:
        if row.mean is None:
            return "–"
        half = (row.interval.high - row.interval.low) / 2 if row.interval else None
        told = f"{scale * row.mean:.{places}f}"
        return told if half is None else f"{told} ± {scale * half:.{places}f}"

    def difference(row: Row) -> str:
        if row.is_baseline:
            return "baseline"
        if row.paired is None:
            return "–"
        told = f"{scale * row.paired.mean:+.{places}f}"
        inside = row.paired.interval
        if inside is None:
            return told
        return f"{told} [{scale * inside.low:.{places}f}, {scale * inside.high:.{places}f}]"

    def better(row: Row) -> str:
        if row.paired is None or row.paired.n < 2:
            return "–"
        share = f"{100 * row.paired.probability_better:.0f}%"
        return share if row.paired.n == row.n else f"{share} of {row.paired.n}"

    def median(reached: TimeToTarget | None) -> float | None:
        value = reached.median if reached else None
        return value if value is not None and math.isfinite(value) else None

    def value(index: int) -> Callable[[Row], str]:
        return lambda row: row.values[index]

    keys = [
        Column(key, key, value(i), lambda row: None, left=True)
        for i, key in enumerate(comparison.by)
    ]
    target = "–" if comparison.target is None else f"{100 * comparison.target:g}%"
    unit = f" ({metric.unit})" if metric.unit else ""
    found = [
        *keys,
        Column("n", "n", lambda row: str(row.n), lambda row: row.n),
        Column("metric", f"{metric.path}{unit}", mean, lambda row: row.mean, metric.better),
        Column(
            "difference",
            f"difference [{100 * comparison.question.confidence:g}%]",
            difference,
            lambda row: row.paired.mean if row.paired else None,
        ),
        Column(
            "p",
            "p (Holm)",
            lambda row: probability(row.paired.p_holm if row.paired else None),
            lambda row: row.paired.p_holm if row.paired else None,
        ),
        Column(
            "P(better)",
            "P(better)",
            better,
            lambda row: row.paired.probability_better if row.paired else None,
        ),
        Column(
            "gap",
            "gap (pt)",
            lambda row: "–" if row.gap is None else f"{100 * row.gap:.1f}",
            lambda row: row.gap,
        ),
        Column(
            "source",
            "source (%)",
            lambda row: "–" if row.source_accuracy is None else f"{100 * row.source_accuracy:.1f}",
            lambda row: row.source_accuracy,
        ),
        Column(
            "epochs to",
            f"epochs to {target}",
            lambda row: row.epochs.text() if row.epochs else "–",
            lambda row: median(row.epochs),
            -1,
        ),
        Column(
            "s to",
            f"s to {target}",
            lambda row: row.seconds.text() if row.seconds else "–",
            lambda row: median(row.seconds),
            -1,
        ),
        Column(
            "AUC",
            "AUC",
            lambda row: "–" if row.area is None else f"{row.area:.3f}",
            lambda row: row.area,
            +1,
        ),
        Column(
            "head params",
            "head params",
            lambda row: count(row.head_parameters),
            lambda row: row.head_parameters,
            -1,
        ),
        Column(
            "params", "params", lambda row: count(row.parameters), lambda row: row.parameters, -1
        ),
        Column("MACs", "MACs", lambda row: count(row.macs), lambda row: row.macs, -1),
        Column(
            "images/s",
            "images/s",
            lambda row: count(row.images_per_second),
            lambda row: row.images_per_second,
            +1,
        ),
    ]
    return [
        column
        for column in found
        if column in keys or any(column.text(row) != "–" for row in comparison.rows)
    ]


def best_rows(column: Column, rows: Sequence[Row]) -> set[str]:
    """Labels of the rows that share the best value of a column; none when all are equal."""
    numbers = {row.label: column.number(row) for row in rows}
    known = [number for number in numbers.values() if number is not None]
    if not column.best or len(set(known)) < 2:
        return set()
    best = max(known) if column.best > 0 else min(known)
    return {label for label, number in numbers.items() if number == best}


def terminal(comparison: Comparison, width: int = 120, bold: bool = False) -> str:
    """An aligned table at most `width` wide; columns that do not fit are named below it."""
    shown = columns(comparison)
    left_out: list[str] = []
    lines = _aligned(shown, comparison.rows, bold)
    for name in DROP:
        if _width(shown, comparison.rows) <= width:
            break
        if any(column.name == name for column in shown):
            left_out += [column.title for column in shown if column.name == name]
            shown = [column for column in shown if column.name != name]
            lines = _aligned(shown, comparison.rows, bold)
    if left_out:
        told = ", ".join(reversed(left_out))
        lines.append(f"Left out to fit {width} columns: {told} (--csv and --markdown have them)")
    return "\n".join(lines)


def _cells(shown: Sequence[Column], rows: Sequence[Row]) -> list[list[str]]:
    return [[column.title for column in shown]] + [[c.text(row) for c in shown] for row in rows]


def _widths(shown: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    return [max(len(cell) for cell in cells) for cells in zip(*_cells(shown, rows), strict=True)]


def _width(shown: Sequence[Column], rows: Sequence[Row]) -> int:
    return sum(_widths(shown, rows)) + 2 * (len(shown) - 1)


def _aligned(shown: Sequence[Column], rows: Sequence[Row], bold: bool) -> list[str]:
    widths = _widths(shown, rows)
    marked = [best_rows(column, rows) for column in shown]
    lines = []
    for index, cells in enumerate(_cells(shown, rows)):
        line = []
        for column, cell, size, best in zip(shown, cells, widths, marked, strict=True):
            padded = cell.ljust(size) if column.left else cell.rjust(size)
            if bold and (index == 0 or rows[index - 1].label in best):
                padded = padded.replace(cell, f"{BOLD}{cell}{PLAIN}", 1)
            line.append(padded)
        lines.append("  ".join(line).rstrip())
    rule = "  ".join("─" * size for size in widths)
    return [lines[0], rule, *lines[1:]]


def markdown(comparison: Comparison) -> str:
    """A GitHub table with all columns, the best in bold."""
    shown = columns(comparison)
    lines = ["| " + " | ".join(_escape(column.title) for column in shown) + " |"]
    lines.append("|" + "|".join(":--" if column.left else "--:" for column in shown) + "|")
    marked = [best_rows(column, comparison.rows) for column in shown]
    for row in comparison.rows:
        cells = []
        for column, best in zip(shown, marked, strict=True):
            cell = _escape(column.text(row))
            cells.append(f"**{cell}**" if row.label in best else cell)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
