"""Everything a comparison found, in the one object that table, JSON, pictures and page share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from gapfc.compare.baseline import baseline_of, parse_baseline, usual_baseline
from gapfc.compare.choose import Choice, choose, chosen_by
from gapfc.compare.classes import Classes, classes_of
from gapfc.compare.collect import Collection
from gapfc.compare.confound import Confound
from gapfc.compare.confounds import confounds
from gapfc.compare.convergence import default_target, reached
from gapfc.compare.curves import Curves
from gapfc.compare.equivalence import verdict
from gapfc.compare.fields import lookup, metric_of, near_it, numbers, value_of
from gapfc.compare.groups import check_keys, group
from gapfc.compare.images import Images
from gapfc.compare.metric import Measure, measure
from gapfc.compare.notes import constants, covered_by_seeds_alone, notes
from gapfc.compare.question import Question
from gapfc.compare.refusal import refuse_mixtures
from gapfc.compare.row import Row, row_of
from gapfc.compare.statistics import holm
from gapfc.errors import UserError
from gapfc.formatting import printable
from gapfc.records.run import Run


@dataclass
class Comparison:
    """The answer: rows best first, and all that has to be said beside them.

    confounds: of the whole table. confounds_of: those of each row's own comparison, by label.
    """

    question: Question
    measure: Measure
    by: tuple[str, ...]
    baseline: str
    baseline_given: bool
    target: float | None
    rows: list[Row]
    best: str | None
    constants: dict[str, str]
    confounds: list[Confound]
    confounds_of: dict[str, list[Confound]]
    notes: list[str]
    choices: list[Choice]
    unusable: list[Run]
    directories: list[str]
    found: int
    compared: int
    curves: Curves

    def row(self, label: str) -> Row:
        """The row of the group named `label`."""
        return next(row for row in self.rows if row.label == label)

    @cached_property
    def classes(self) -> Classes | None:
        """What was said of each class of test images; read when it is asked for."""
        return classes_of(self.rows)


def compare(collection: Collection, question: Question, found: int | None = None) -> Comparison:
    """Answer `question` from the runs of `collection` (already filtered by --where).

    found: runs before filtering. Raises UserError for unknown keys, metrics or baselines, and for
    groups that differ in more than `question.by`.
    """
    runs, by = collection.runs, question.by
    if not runs:
        raise UserError(_nothing_completed(collection.unusable))
    check_keys(runs, by)
    check_keys(runs, question.choose, "--choose")
    refuse_mixtures(runs, (*by, *question.choose))
    choices: list[Choice] = []
    chosen = {key for key in question.choose if len({value_of(run, key) for run in runs}) > 1}
    if question.choose:
        by_metric = chosen_by(question.metric)
        runs, choices = choose(runs, by, question.choose, collection.unusable, by_metric)
    groups = group(runs, by)
    counted = [run for cell in groups for run in cell.runs.values()]
    metric = measure(question.metric, question.direction)
    must_be_measured(counted, question.metric)

    keys = [cell.values for cell in groups]
    if question.baseline is None:
        spec = usual_baseline(by, keys)
    else:
        spec = parse_baseline(question.baseline, by, keys)
    curves = Curves()
    target = question.target if question.target is not None else default_target(counted)
    known = Images(question.metric)
    images = known if known.file and question.interval == "crossed" else None
    rows = {cell.values: row_of(cell, question, images) for cell in groups}
    for values, row in rows.items():
        if target is not None:
            row.epochs = reached(row.runs, target, "epochs", curves)
            row.seconds = reached(row.runs, target, "seconds", curves)
        baseline = baseline_of(values, spec, by, keys)
        if baseline is None:
            row.no_comparison = "no baseline with the same other values"
        elif baseline == values:
            row.is_baseline = True
        else:
            row.compare_with(rows[baseline], question, metric.better, images)
    by_label = {row.label: row for row in rows.values()}
    pairs = {
        label: [row, by_label[row.baseline]] for label, row in by_label.items() if row.baseline
    }
    for row, other in pairs.values():
        row.compare_epochs(other, question)
    _correct(rows.values())
    if question.margin is not None:
        _judge(rows.values(), question.margin / metric.scale, question.confidence)

    ordered = sorted(
        rows.values(),
        key=lambda row: (row.mean is None, -metric.better * (row.mean or 0.0), row.label),
    )
    return Comparison(
        question=question,
        measure=metric,
        by=by,
        baseline=", ".join(f"{key}={value}" for key, value in spec.items()),
        baseline_given=question.baseline is not None,
        target=target,
        rows=ordered,
        best=ordered[0].label if ordered[0].mean is not None else None,
        constants=constants(counted, by),
        confounds=confounds(ordered, question, chosen),
        confounds_of={label: confounds(pair, question, chosen) for label, pair in pairs.items()},
        notes=[
            *notes(groups, ordered, metric, choices, question.confidence),
            *covered_by_seeds_alone(ordered, images),
            *collection.problems,
        ],
        choices=choices,
        unusable=collection.unusable,
        directories=[str(directory) for directory in collection.directories],
        found=found if found is not None else len(collection.runs) + len(collection.unusable),
        compared=len(counted),
        curves=curves,
    )


def _correct(rows: Iterable[Row]) -> None:
    """Holm's correction of p, over all comparisons of the table: of the metric, and of epochs."""
    rows = list(rows)
    metric = holm([row.paired and row.paired.p for row in rows])
    epochs = holm([row.paired_epochs and row.paired_epochs.p for row in rows])
    for row, p, p_epochs in zip(rows, metric, epochs, strict=True):
        if row.paired is not None:
            row.paired = replace(row.paired, p_holm=p)
        if row.paired_epochs is not None:
            row.paired_epochs = replace(row.paired_epochs, p_holm=p_epochs)


def _judge(rows: Iterable[Row], margin: float, confidence: float) -> None:
    """Every comparison's verdict by `margin`; equivalence is corrected for as p is."""
    compared = [(row, row.paired) for row in rows if row.paired is not None]
    inside = holm([paired.estimate.p_inside(margin) for _, paired in compared])
    for (row, paired), p in zip(compared, inside, strict=True):
        row.verdict = verdict(
            paired.estimate, paired.better, margin, confidence, paired.p_holm, p, len(compared)
        )


def must_be_measured(runs: Sequence[Run], path: str) -> None:
    """Raises UserError if no run has the number at `path`, naming near ones."""
    if any(metric_of(run, path) is not None for run in runs):
        return
    if any(lookup(run.results, path) is None for run in runs):
        raise UserError(f"--metric {path}: it is null in every run, as for a target never reached")
    hint = near_it(path, sorted({name for run in runs[:50] for name in numbers(run.results)}))
    probes = "; gapfc evaluate measures probes" if path.startswith("probe.") else ""
    raise UserError(
        f"--metric {path}: no run has this number in results.json or probes.json{probes}{hint}"
    )


def _nothing_completed(unusable: Sequence[Run]) -> str:
    told = "; ".join(
        printable(f"{run.path}: {run.status}, {run.reason}", 400) for run in unusable[:3]
    )
    more = f"; and {len(unusable) - 3} more" if len(unusable) > 3 else ""
    return f"no completed run among {len(unusable)} found: {told}{more}"
