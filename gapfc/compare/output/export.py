"""The comparison as JSON and CSV: the numbers behind the table, and the runs not in it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from gapfc.compare.answer import Comparison
from gapfc.compare.convergence import TimeToTarget
from gapfc.compare.estimate import Interval
from gapfc.compare.metric import Measure
from gapfc.compare.output.columns import Column, columns
from gapfc.compare.output.reproduce import commands
from gapfc.compare.output.sentences import sentences
from gapfc.compare.row import Row
from gapfc.compare.strata import Answered, Refused
from gapfc.formatting import no_formula


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison in plain types; shares in [0, 1], absent = None."""
    shown = columns(comparison)
    return {
        "schema": 1,
        "question": asdict(comparison.question),
        "metric": asdict(comparison.measure),
        "by": list(comparison.by),
        "baseline": comparison.baseline,
        "target": comparison.target,
        "best": comparison.best,
        "directories": comparison.directories,
        "runs_found": comparison.found,
        "runs_compared": comparison.compared,
        "constants": comparison.constants,
        "confounds": [asdict(confound) for confound in comparison.confounds],
        "notes": comparison.notes,
        "chosen": [asdict(choice) for choice in comparison.choices],
        "rows": [
            _row(row, comparison.by, comparison.measure, shown)
            | {"confounds": [each.kind for each in comparison.confounds_of.get(row.label, [])]}
            for row in comparison.rows
        ],
        "sentences": sentences(comparison),
        "commands": commands(comparison),
        "not_compared": [
            {"path": str(run.path), "kind": run.status, "reason": run.reason}
            for run in comparison.unusable
        ],
    }


def _row(row: Row, by: Sequence[str], measure: Measure, shown: Sequence[Column]) -> dict[str, Any]:
    means = {column.name: column.number(row) for column in shown if column.path}
    before_times = ("generalization_gap", "source_accuracy", "area_under_curve")
    return {
        "label": row.label,
        "by": dict(zip(by, row.values, strict=True)),
        "runs": {str(seed): str(run.path) for seed, run in row.runs.items()},
        "values": {str(seed): value for seed, value in row.metric.items()},
        "seeds_without_value": row.without_value,
        "n": row.n,
        "mean": row.mean,
        "interval": _interval(row.interval, measure),
        "is_baseline": row.is_baseline,
        "baseline": row.baseline,
        "paired": _paired(row, measure),
        "verdict": asdict(row.verdict) if row.verdict else None,
        "no_comparison": row.no_comparison,
        "seeds_not_paired": row.not_paired,
        **{name: means.pop(name) for name in before_times},  # the order that readers know
        "epochs_to_target": _reached(row.epochs),
        "seconds_to_target": _reached(row.seconds),
        **means,
    }


def _paired(row: Row, measure: Measure) -> dict[str, Any] | None:
    pair = row.paired
    if pair is None:
        return None
    return {**asdict(pair), "interval": _interval(pair.interval, measure), "n": pair.n}


def _interval(interval: Interval | None, measure: Measure) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {**asdict(interval), "covers": measure.covers(interval.method)}


def _reached(reached: TimeToTarget | None) -> dict[str, Any] | None:
    if reached is None:
        return None
    return {
        "reached": reached.count,
        "of": reached.total,
        "median": reached.finite_median,
        "mean_of_reached": reached.mean_of_reached,
        "by_seed": {
            str(seed): time if math.isfinite(time) else None for seed, time in reached.times.items()
        },
    }


def json_text(answered: Sequence[Answered], refused: Sequence[Refused] = ()) -> str:
    """`as_dict` as JSON that any reader takes and any terminal stands: no NaN, only ASCII.

    Of several comparisons a list; in it, a stratum that could not be compared has `refused`, why.
    """
    told: list[dict[str, Any]] = [as_dict(comparison) for _, comparison in answered]
    told += [
        {"schema": 1, "question": asdict(each.stratum.question), "refused": each.reason}
        for each in refused
    ]
    whole = told if len(told) > 1 else told[0]
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def csv_text(answered: Sequence[Answered]) -> str:
    """One row per group, numbers in full: shares in [0, 1], times in epochs and seconds.

    Of several comparisons the rows of all: the first column, `table`, says of which, and each has
    the columns of all.
    """
    # Pairs, as a key of --by may have the same name as a column.
    rows = [
        ([("table", stratum.name)] if len(answered) > 1 else [])
        + [cell for column in columns(comparison) for cell in column.csv(row).items()]
        for stratum, comparison in answered
        for row in comparison.rows
    ]
    counted = [_counted(row) for row in rows]
    header = list(dict.fromkeys(key for row in counted for key in row))
    return csv_of([key for key, _ in header], [[row.get(key) for key in header] for row in counted])


def _counted(row: Sequence[tuple[str, Any]]) -> dict[tuple[str, int], Any]:
    """Cells by key, and how often the row had that key before."""
    cells: dict[tuple[str, int], Any] = {}
    for key, value in row:
        cells[key, sum(other == key for other, _ in cells)] = value
    return cells


def csv_of(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV; None is empty.

    Words that a spreadsheet would take for a formula start with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(no_formula, header))
    writer.writerows(map(no_formula, row) for row in rows)
    return out.getvalue()
