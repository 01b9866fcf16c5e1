"""The table, one row per group: for the terminal and Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gapfc.compare.answer import Comparison
from gapfc.compare.output.columns import Column, shown_columns
from gapfc.compare.output.legend import legend
from gapfc.compare.strata import Answered
from gapfc.formatting import printable

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
BETWEEN = "  "
ANSWERS = 11  # columns whose turn to be dropped comes this late
# What means something to Markdown inside a line; an underscore only at the edge of a word.
MARKUP = re.compile(r"[\\\\`*\[\]<>|~&$]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.", re.IGNORECASE)


def terminal(comparison: Comparison, width: int = 120, bold: bool = False) -> tuple[str, str]:
    """An aligned table at most `width` wide, and in sentences what belongs below it.

    Titles are broken at words where their column is narrow. Columns that do not fit are named.
    """
    rows, all_columns = comparison.rows, shown_columns(comparison)
    cells = {column: [column.text(row) for row in rows] for column in all_columns}
    for at_dots in (False, True):
        titles = {column: _title(column, cells[column], at_dots) for column in all_columns}
        sizes = {column: max(map(len, [*titles[column], *cells[column]])) for column in all_columns}
        shown, left_out = _fitting(all_columns, sizes, width)
        if all(column.drop < ANSWERS for column in left_out):
            break

    height = max(len(titles[column]) for column in shown)
    lines: list[list[str]] = [[] for _ in range(height + 1 + len(rows))]
    for column in shown:
        best = column.best_rows(comparison)
        title = [*[""] * (height - len(titles[column])), *titles[column]]
        marked = [*[True] * height, False, *(row.label in best for row in rows)]
        texts = [*title, "─" * sizes[column], *cells[column]]
        for line, text, mark in zip(lines, texts, marked, strict=True):
            padded = text.ljust(sizes[column]) if column.is_key else text.rjust(sizes[column])
            if bold and mark and text:
                padded = padded.replace(text, f"{BOLD}{text}{PLAIN}", 1)
            line.append(padded)
    below = legend(comparison, shown, bold)
    if left_out:
        names = ", ".join(column.title for column in left_out)
        below += f" Left out to fit {width} columns: {names} (--csv and --markdown have them)."
    return "\n".join(BETWEEN.join(line).rstrip() for line in lines), below.strip()


def _fitting(
    columns: Sequence[Column], sizes: Mapping[Column, int], width: int
) -> tuple[list[Column], list[Column]]:
    """The columns that fit side by side, and those that are left out; both in their order."""
    shown = list(columns)
    for column in sorted((c for c in columns if c.drop), key=lambda column: column.drop):
        if sum(sizes[c] for c in shown) + len(BETWEEN) * (len(shown) - 1) <= width:
            break
        shown.remove(column)
    return shown, [column for column in columns if column not in shown]


def _title(column: Column, cells: Sequence[str], at_dots: bool) -> list[str]:
    """A column's title in lines that make it no wider than its longest word or cell.

    at_dots: whether test.accuracy may be broken too.
    """
    piece = r"\S+?\.(?=\w)|\S+" if at_dots else r"\S+"
    words = list(re.finditer(piece, printable(column.title)))
    width = max(map(len, [*(word[0] for word in words), *cells]))
    lines = [""]
    for word in words:
        space = " " * (word.start() > 0 and word.string[word.start() - 1] == " ")
        if len(lines[-1] + space + word[0]) <= width:
            lines[-1] += space + word[0]
        else:
            lines.append(word[0])
    return lines


def markdown_text(answered: Sequence[Answered]) -> str:
    """The table; of several comparisons each under a heading."""
    if len(answered) == 1:
        return markdown(answered[0][1])
    told = (f"## {escape(each.name)}\n\n{markdown(comparison)}" for each, comparison in answered)
    return "\n".join(told)


def markdown(comparison: Comparison) -> str:
    """A GitHub table with all columns, below what may confound it; what is bold is explained."""
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
    below = escape(legend(comparison, shown, bold=True), 2000)
    parts = ["\n".join(above), "\n".join([header, rule, *body]), below]
    return "\n\n".join(filter(None, parts)) + "\n"


def escape(text: str, longest: int = 200) -> str:
    """Words in which nothing is a link, a tag, a formula, emphasis or the end of a cell."""
    return MARKUP.sub(r"\\\g<0>", printable(text, longest))
