"""What is printed of a comparison: the question, what differs, the table, what it says."""

from __future__ import annotations

from gapfc.compare.answer import Comparison
from gapfc.compare.output.sentences import sentences, unusable_lines
from gapfc.compare.output.table import terminal
from gapfc.compare.strata import Refused
from gapfc.formatting import printable, printable_lines, wrapped

USUAL_WIDTH = 120  # of a table in a file or a pipe


def summary(
    comparison: Comparison, name: str = "", width: int | None = None, bold: bool = False
) -> str:
    """All of it; lines are broken at words where they are wider than `width`.

    name: what tells the comparison from others. width: None for a file or a pipe, in which every
    sentence stays a line. bold: whether what may be marked in bold is.
    """
    metric, question = comparison.measure, comparison.question
    where = " and ".join(question.where)
    chosen = "" if comparison.baseline_given else " (none was given: --baseline chooses)"
    above = [
        *([f"── {name} ──"] if name else []),
        f"{metric.path} ({metric.direction}) by {', '.join(comparison.by)}: "
        f"{comparison.compared} of {comparison.found} runs found{where and f', where {where}'}",
        f"Baseline: {comparison.baseline}{chosen}",
    ]
    if comparison.constants:
        same = ", ".join(f"{key}={value}" for key, value in comparison.constants.items())
        above.append(f"The same for all: {same}")
    above += [f"Bear in mind: {each.sentence}" for each in comparison.confounds]
    above += [f"Note: {note}" for note in comparison.notes]
    table, legend = terminal(comparison, width or USUAL_WIDTH, bold)
    below = sentences(comparison)
    missing = unusable_lines(comparison)
    if missing:
        below += ["", *missing]
    parts = (_lines(above, width), f"{table}\n{_lines([legend], width, hang='')}".rstrip())
    return "\n\n".join(filter(None, (*parts, _lines(below, width))))


def refusal(refused: Refused, width: int | None = None) -> str:
    """Which runs are not compared, and why."""
    name = f"── {printable(refused.stratum.name)} ──"
    lines = printable_lines(refused.reason).split("\n")
    return "\n".join(
        [name, *(wrapped(line, width) for line in ("Not compared: " + lines[0], *lines[1:]))]
    )


def _lines(lines: list[str], width: int | None, hang: str = "  ") -> str:
    """Lines that may quote a stranger's run: its path, its error."""
    return "\n".join(wrapped(printable(line, 2000), width, hang) for line in lines)
