"""Everything a comparison found, in the one object that table, JSON, pictures and page share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gapfc.compare.baseline import baseline_of, parse_baseline, usual_baseline
from gapfc.compare.collect import Collection, Run, Unusable
from gapfc.compare.convergence import TimeToTarget, default_target, reached
from gapfc.compare.curves import Curves
from gapfc.compare.fields import ABSENT, lookup, metric_of, near, numbers
from gapfc.compare.groups import (
    Choice,
    Group,
    Values,
    check_keys,
    choose,
    group,
    refuse_mixtures,
)
from gapfc.compare.metric import Measure, measure
from gapfc.compare.notes import constants, notes
from gapfc.compare.statistics import Interval, Paired, compare_paired, holm, mean_interval
from gapfc.errors import UserError


@dataclass(frozen=True)
class Question:
    """What was asked: the options of `gapfc compare`."""

    metric: str = "test.accuracy"
    by: tuple[str, ...] = ("head",)
    baseline: str | None = None
    where: tuple[str, ...] = ()
    choose: str | None = None
    confidence: float = 0.95
    interval: str = "auto"
    target: float | None = None
    direction: str | None = None


@dataclass
class Row:
    """One group: its runs by seed, what they measured, and how they compare with the baseline."""

    values: Values
    label: str
    runs: dict[int, Run]
    metric: dict[int, float]  # by seed; seeds without a value are in `without_value`
    without_value: list[int]
    mean: float | None
    interval: Interval | None
    is_baseline: bool = False
    baseline: str | None = None  # label of the group it is compared with
    paired: Paired | None = None
    not_paired: list[int] = field(default_factory=list)  # seeds that one of the two lacks
    no_comparison: str | None = None
    gap: float | None = None
    source_accuracy: float | None = None  # of transfer runs: the sources', on their own test set
    area: float | None = None
    epochs: TimeToTarget | None = None
    seconds: TimeToTarget | None = None
    head_parameters: float | None = None
    parameters: float | None = None
    macs: float | None = None
    images_per_second: float | None = None

    @property
    def n(self) -> int:
        """Seeds with a value of the metric."""
        return len(self.metric)


@dataclass
class Comparison:
    """The answer: rows best first, and all that has to be said beside them."""

    question: Question
    measure: Measure
    by: tuple[str, ...]
    baseline: str
    baseline_given: bool
    target: float | None
    target_given: bool
    rows: list[Row]
    best: str | None
    constants: dict[str, str]
    notes: list[str]
    choices: list[Choice]
    unusable: list[Unusable]
    directories: list[str]
    found: int
    compared: int
    curves: Curves

    def row(self, label: str) -> Row:
        """The row of the group named `label`."""
        return next(row for row in self.rows if row.label == label)


def label_of(values: Values, by: Sequence[str]) -> str:
    """`fc`, `fc, hidden=[512]`, `fc, finetune`: short, and unique among the groups."""
    plain = {"head", "backbone", "dataset", "protocol", "source.head", "source.dataset", "command"}
    parts = [
        value if key in plain or "." not in key else f"{key.rpartition('.')[2]}={value}"
        for key, value in zip(by, values, strict=True)
        if value != ABSENT or len(by) == 1
    ]
    return ", ".join(parts)


def compare(collection: Collection, question: Question, found: int | None = None) -> Comparison:
    """Answers `question` from the runs of `collection` (already filtered by --where).

    Raises UserError for unknown keys, metrics or baselines, and for groups that differ in more
    than `question.by`.
    """
    runs = collection.runs
    if not runs:
        raise UserError(_nothing_completed(collection.unusable))
    apart = (*question.by, question.choose) if question.choose else question.by
    check_keys(runs, apart)
    refuse_mixtures(runs, apart)
    choices: list[Choice] = []
    if question.choose:
        runs, choices = choose(runs, question.by, question.choose)
    groups = group(runs, question.by)
    counted = [run for cell in groups for run in cell.runs.values()]
    metric = measure(question.metric, question.direction)
    _must_be_measured(counted, question.metric)

    keys = [cell.values for cell in groups]
    given = question.baseline is not None
    spec = (
        parse_baseline(question.baseline, question.by, keys)
        if question.baseline is not None
        else usual_baseline(question.by, keys)
    )
    curves = Curves()
    target = question.target if question.target is not None else default_target(counted)
    rows = {cell.values: _row(cell, question, target, curves) for cell in groups}
    for values, row in rows.items():
        _against_baseline(row, baseline_of(values, spec, question.by, keys), rows, question, metric)
    _correct([row for row in rows.values() if row.paired is not None])

    ordered = sorted(
        rows.values(),
        key=lambda row: (row.mean is None, -metric.better * (row.mean or 0.0), row.label),
    )

    return Comparison(
        question=question,
        measure=metric,
        by=question.by,
        baseline=", ".join(f"{key}={value}" for key, value in spec.items()),
        baseline_given=given,
        target=target,
        target_given=question.target is not None,
        rows=ordered,
        best=ordered[0].label if ordered[0].mean is not None else None,
        constants=constants(counted, question.by),
        notes=notes(groups, ordered, metric, choices),
        choices=choices,
        unusable=collection.unusable,
        directories=[str(directory) for directory in collection.directories],
        found=found if found is not None else len(collection.runs) + len(collection.unusable),
        compared=len(counted),
        curves=curves,
    )


def _row(cell: Group, question: Question, target: float | None, curves: Curves) -> Row:
    runs = dict(sorted(cell.runs.items()))
    values = {seed: metric_of(run, question.metric) for seed, run in runs.items()}
    metric = {seed: value for seed, value in values.items() if value is not None}
    interval, _ = mean_interval(list(metric.values()), question.confidence, "t")

    def mean(path: str) -> float | None:
        found = [value for run in runs.values() if (value := metric_of(run, path)) is not None]
        return sum(found) / len(found) if found else None

    row = Row(
        values=cell.values,
        label=label_of(cell.values, question.by),
        runs=runs,
        metric=metric,
        without_value=[seed for seed, value in values.items() if value is None],
        mean=sum(metric.values()) / len(metric) if metric else None,
        interval=interval,
        gap=mean("generalization_gap.accuracy"),
        source_accuracy=mean("transfer.source.test_accuracy"),
        area=mean("convergence.area_under_curve"),
        head_parameters=mean("parameters.head"),
        parameters=mean("parameters.total"),
        macs=mean("macs.total"),
        images_per_second=mean("images_per_second"),
    )
    if target is not None:
        row.epochs = reached(runs, target, "epochs", curves)
        row.seconds = reached(runs, target, "seconds", curves)
    return row


def _against_baseline(
    row: Row,
    baseline: Values | None,
    rows: dict[Values, Row],
    question: Question,
    metric: Measure,
) -> None:
    if baseline is None:
        row.no_comparison = "no baseline with the same other values"
        return
    if baseline == row.values:
        row.is_baseline = True
        return
    other = rows[baseline]
    row.baseline = other.label
    seeds = sorted(row.metric.keys() & other.metric.keys())
    row.not_paired = sorted(row.metric.keys() ^ other.metric.keys())
    if not seeds:
        row.no_comparison = f"no seed in common with {other.label}"
        return
    row.paired = compare_paired(
        [row.metric[seed] for seed in seeds],
        [other.metric[seed] for seed in seeds],
        seeds,
        metric.better,
        question.confidence,
        question.interval,
    )


def _correct(rows: Sequence[Row]) -> None:
    for row, p in zip(rows, holm([row.paired.p for row in rows if row.paired]), strict=True):
        if row.paired is not None:
            row.paired = replace(row.paired, p_holm=p)


def _must_be_measured(runs: Sequence[Run], path: str) -> None:
    if any(metric_of(run, path) is not None for run in runs):
        return
    known = sorted({name for run in runs[:50] for name in numbers(run.results)})
    if any(lookup(run.results, path) is None for run in runs):
        raise UserError(f"--metric {path}: it is null in every run, as for a target never reached")
    close = near(path, known)
    hint = f"; near it: {', '.join(close)}" if close else ""
    raise UserError(f"--metric {path}: no run has this number in results.json{hint}")


def _nothing_completed(unusable: Sequence[Unusable]) -> str:
    told = "; ".join(f"{run.path}: {run.kind}, {run.reason}" for run in unusable[:3])
    more = f"; and {len(unusable) - 3} more" if len(unusable) > 3 else ""
    return f"no completed run among {len(unusable)} found: {told}{more}"
