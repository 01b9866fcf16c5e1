"""What stands below a table: what its intervals cover, and what its marks mean, each once."""

from __future__ import annotations

from collections.abc import Sequence

from gapfc.compare.answer import Comparison
from gapfc.compare.output.columns import OTHER_WORK, Column
from gapfc.compare.output.sentences import covered

BETTER = "told apart from the baseline as better, or a baseline that all others are worse than"


def legend(comparison: Comparison, shown: Sequence[Column], bold: bool) -> str:
    """In sentences; empty if nothing needs one. bold: whether `best_rows` are marked."""
    told = [covered(comparison) or ""]
    marked = [column for column in shown if bold and column.best_rows(comparison)]
    meant = [BETTER] if any(not column.counted for column in marked) else []
    if any(column.counted for column in marked):
        meant.append("of parameters and MACs, the fewest")
    if meant:
        told.append(f"Bold: {'; '.join(meant)}.")
    times = [
        time
        for row in comparison.rows
        for time in (row.epochs, row.seconds)
        if time is not None and time.count < time.total
    ]
    if times and any(column.name.endswith("_to_target") for column in shown):
        count, total = times[0].count, times[0].total
        told.append(f"({count}/{total}): {count} of {total} runs reached it.")
    loaded = [column.title for column in shown if column.explanation.endswith(OTHER_WORK)]
    if loaded:
        told.append(f"{' and '.join(loaded).capitalize()}: {OTHER_WORK}.")
    return " ".join(filter(None, told))
