"""The comparison as JSON and CSV: the numbers behind the table, and the runs not in it."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any

from gapfc.compare.answer import Comparison, Row
from gapfc.compare.convergence import TimeToTarget
from gapfc.compare.output.reproduce import commands
from gapfc.compare.output.sentences import sentences


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
        "source_accuracy": row.source_accuracy,
        "area_under_curve": row.area,
        "epochs_to_target": _reached(row.epochs),
        "seconds_to_target": _reached(row.seconds),
        "head_parameters": row.head_parameters,
        "parameters": row.parameters,
        "macs": row.macs,
        "images_per_second": row.images_per_second,
    }


def _reached(reached: TimeToTarget | None) -> dict[str, Any] | None:
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


def csv_text(comparison: Comparison) -> str:
    """One row a group, numbers in full: shares in [0, 1], times in epochs and seconds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *comparison.by,
            "n",
            "seeds",
            comparison.measure.path,
            "low",
            "high",
            "baseline",
            "paired_seeds",
            "difference",
            "difference_low",
            "difference_high",
            "interval_method",
            "p",
            "p_holm",
            "p_sign_flip",
            "probability_better",
            "generalization_gap",
            "source_accuracy",
            "target",
            "reached",
            "median_epochs",
            "median_seconds",
            "area_under_curve",
            "head_parameters",
            "parameters",
            "macs",
            "images_per_second",
        ]
    )
    for row in comparison.rows:
        pair = row.paired
        inside = pair.interval if pair else None
        writer.writerow(
            [
                *row.values,
                row.n,
                " ".join(map(str, row.metric)),
                row.mean,
                row.interval.low if row.interval else None,
                row.interval.high if row.interval else None,
                row.baseline,
                pair.n if pair else None,
                pair.mean if pair else None,
                inside.low if inside else None,
                inside.high if inside else None,
                inside.method if inside else None,
                pair.p if pair else None,
                pair.p_holm if pair else None,
                pair.p_sign_flip if pair else None,
                pair.probability_better if pair else None,
                row.gap,
                row.source_accuracy,
                comparison.target,
                f"{row.epochs.count}/{row.epochs.total}" if row.epochs else None,
                row.epochs.median if row.epochs else None,
                row.seconds.median if row.seconds else None,
                row.area,
                row.head_parameters,
                row.parameters,
                row.macs,
                row.images_per_second,
            ]
        )
    return out.getvalue()
