"""The table, one row per group: for the terminal and Markdown."""

from __future__ import annotations

import re

from gapfc.compare.answer import Comparison
from gapfc.compare.output.columns import shown_columns
from gapfc.formatting import printable

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
BETWEEN = "  "
# What means something to Markdown inside a line; an underscore only at the edge of a word.
MARKUP = re.compile(r"[\\\\`*\[\]<>|~&$]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.", re.IGNORECASE)


def terminal(comparison: Comparison, width: int = 120, bold: bool = False) -> str:
    """An aligned table at most `width` wide; columns that do not fit are named below it."""
    rows, shown = comparison.rows, shown_columns(comparison)
    cells = {column: [column.title, *(column.text(row) for row in rows)] for column in shown}
    sizes = {column: max(map(len, texts)) for column, texts in cells.items()}
    left_out: list[str] = []
    for column in sorted((c for c in shown if c.drop), key=lambda column: column.drop):
        if sum(sizes[c] for c in shown) + len(BETWEEN) * (len(shown) - 1) <= width:
            break
        shown.remove(column)
        left_out.insert(0, column.title)

    lines: list[list[str]] = [[] for _ in range(len(rows) + 1)]
    for column in shown:
        best = column.best_rows(comparison)
        for index, cell in enumerate(cells[column]):
            padded = cell.ljust(sizes[column]) if column.is_key else cell.rjust(sizes[column])
            if bold and (index == 0 or rows[index - 1].label in best):
                padded = padded.replace(cell, f"{BOLD}{cell}{PLAIN}", 1)
            lines[index].append(padded)
    header, *body = (BETWEEN.join(line).rstrip() for line in lines)
    told = [header, BETWEEN.join("─" * sizes[column] for column in shown), *body]
    if left_out:
        names = ", ".join(left_out)
        told.append(f"Left out to fit {width} columns: {names} (--csv and --markdown have them)")
    return "\n".join(told)


def markdown(comparison: Comparison) -> str:
    """A GitHub table with all columns, the best in bold, below what may confound it."""
    rows, shown = comparison.rows, shown_columns(comparison)
    lines: list[list[str]] = [[] for _ in range(len(rows) + 1)]
    for column in shown:
        best = column.best_rows(comparison)
        lines[0].append(escape(column.title))
        for line, row in zip(lines[1:], rows, strict=True):
            cell = escape(column.text(row))
            line.append(f"**{cell}**" if row.label in best else cell)
    header, *body = (f"| {' | '.join(line)} |" for line in lines)
    rule = f"|{'|'.join(':--' if column.is_key else '--:' for column in shown)}|"
    above = [f"- Bear in mind: {escape(each.sentence, 2000)}." for each in comparison.confounds]
    return "\n".join([*above, *([""] if above else []), header, rule, *body]) + "\n"


def escape(text: str, longest: int = 200) -> str:
    """Words in which nothing is a link, a tag, a formula, emphasis or the end of a cell."""
    return MARKUP.sub(r"\\\g<0>", printable(text, longest))
