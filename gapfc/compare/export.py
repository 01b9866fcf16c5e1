"""The comparison as JSON: every number behind the table, and every run that is not in it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from gapfc.compare.comparison import Comparison, Row
from gapfc.compare.convergence import Reached
from gapfc.compare.reproduce import commands
from gapfc.compare.sentences import sentences


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison in plain types; shares in [0, 1], absent = None."""
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
        "notes": comparison.notes,
        "chosen": [asdict(choice) for choice in comparison.choices],
        "rows": [_row(row, comparison) for row in comparison.rows],
        "sentences": sentences(comparison),
        "commands": commands(comparison),
        "not_compared": [
            {"path": str(run.path), "kind": run.kind, "reason": run.reason}
            for run in comparison.unusable
        ],
    }


def _row(row: Row, comparison: Comparison) -> dict[str, Any]:
    return {
        "label": row.label,
        "by": dict(zip(comparison.by, row.values, strict=True)),
        "runs": {str(seed): str(run.path) for seed, run in row.runs.items()},
        "values": {str(seed): value for seed, value in row.metric.items()},
        "seeds_without_value": row.without_value,
        "n": row.n,
        "mean": row.mean,
        "interval": asdict(row.interval) if row.interval else None,
        "is_baseline": row.is_baseline,
        "baseline": row.baseline,
        "paired": None if row.paired is None else {**asdict(row.paired), "n": row.paired.n},
        "no_comparison": row.no_comparison,
        "seeds_not_paired": row.not_paired,
        "generalization_gap": row.gap,
        "area_under_curve": row.area,
        "epochs_to_target": _reached(row.epochs),
        "seconds_to_target": _reached(row.seconds),
        "head_parameters": row.head_parameters,
        "parameters": row.parameters,
        "macs": row.macs,
        "images_per_second": row.images_per_second,
    }


def _reached(reached: Reached | None) -> dict[str, Any] | None:
    if reached is None:
        return None
    median = reached.median
    return {
        "reached": reached.count,
        "of": reached.total,
        "median": median if median is not None and math.isfinite(median) else None,
        "mean_of_reached": reached.mean_of_reached,
        "by_seed": {
            str(seed): time if math.isfinite(time) else None for seed, time in reached.times.items()
        },
    }


def json_text(comparison: Comparison) -> str:
    """`as_dict` as JSON that any reader takes: no NaN, no infinity."""
    return json.dumps(as_dict(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
