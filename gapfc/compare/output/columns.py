"""The columns of a comparison: one list for the terminal, Markdown, CSV, JSON and the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gapfc.compare.answer import Comparison
from gapfc.compare.convergence import TimeToTarget
from gapfc.compare.estimate import Interval
from gapfc.compare.metric import Measure
from gapfc.compare.row import Row
from gapfc.formatting import NOTHING, count, decimals, minus, percent, probability
from gapfc.records.uneven import UNEVEN, has_uneven_classes

BALANCED_ACCURACY = "test.balanced_accuracy"
# The load of a machine changes these, and nothing tells how much.
OTHER_WORK = "other work on the machine counts"


@dataclass(frozen=True)
class Column:
    """A column: what it is called, and what it holds for a row.

    name: key in JSON and CSV. title: heading for people, with the unit.
    explanation: for the page's legend; empty for the keys of --by.
    number: what sorting goes by; None if a row has none.
    text: the number as people read it.
    counted: whether it is an exact count, the same for every seed, of which the fewest is marked.
    drop: its turn to be dropped when the terminal is too narrow, 1 first; 0: it always stays.
    path: of the number in results.json, where the column is its mean over seeds.
    exact: what CSV holds of it, by key; only the number unless given.
    """

    name: str
    title: str
    explanation: str
    number: Callable[[Row], float | None]
    text: Callable[[Row], str]
    counted: bool = False
    drop: int = 0
    path: str | None = None
    exact: Callable[[Row], dict[str, Any]] | None = None

    @property
    def is_key(self) -> bool:
        """Whether it holds a key of --by: words, to the left."""
        return not self.explanation

    def csv(self, row: Row) -> dict[str, Any]:
        """What CSV holds of it, numbers in full."""
        return self.exact(row) if self.exact else {self.name: self.number(row)}

    def best_rows(self, comparison: Comparison) -> set[str]:
        """Labels of the rows to be marked as the best: none that chance may have made so.

        Of what is counted, those with the fewest; of the metric, the groups that are told apart
        from their baseline as better. Nothing else is put to a test.
        """
        if self.name == "metric":
            return _better(comparison)
        numbers = {row.label: self.number(row) for row in comparison.rows}
        known = {number for number in numbers.values() if number is not None}
        if not self.counted or len(known) < 2:
            return set()
        # As they are read: 5,130 and 5,131 are both 5.13k.
        fewest = {self.text(row) for row in comparison.rows if numbers[row.label] == min(known)}
        return {row.label for row in comparison.rows if self.text(row) in fewest}


def _better(comparison: Comparison) -> set[str]:
    """Groups told apart from their baseline as better; or baselines that all others are worse than.

    None of the latter without any other.
    """
    confidence, better = comparison.question.confidence, set()
    for row in comparison.rows:
        others = [other for other in comparison.rows if other.baseline == row.label]
        apart = [other.told_apart(confidence) for other in others]
        won = [bool(o.paired and o.paired.mean * o.paired.better > 0) for o in others]
        better |= {o.label for o, a, w in zip(others, apart, won, strict=True) if a and w}
        if others and all(apart) and not any(won):
            better.add(row.label)
    return better


def shown_columns(comparison: Comparison) -> list[Column]:
    """The columns that hold anything for this comparison, in the order of a table."""
    # The gap between training and test images is one of accuracy, whatever a probe measured.
    beside = ("generalization_gap",) if comparison.measure.path.startswith("probe.") else ()
    return [
        column
        for column in columns(comparison)
        if column.is_key
        or (
            column.name not in beside
            and any(column.text(row) != NOTHING for row in comparison.rows)
        )
    ]


def columns(comparison: Comparison) -> list[Column]:
    """All columns, in the order of a table: first those that answer."""
    metric = comparison.measure
    places = _places(comparison)
    pairs = [row.paired for row in comparison.rows if row.paired is not None]
    confidence = percent(comparison.question.confidence)
    target = NOTHING if comparison.target is None else percent(comparison.target)
    tested = any(row.mean_of("test.accuracy") is not None for row in comparison.rows)
    held_out = "test" if tested else "validation"
    return [
        *(_key(key, index) for index, key in enumerate(comparison.by)),
        Column(
            "metric", metric.axis,
            f"mean over seeds ± half of its {confidence} interval, which is"
            f"{_covered(metric, [row.interval for row in comparison.rows])}; "
            "[ ] for one run: its interval by Wilson",
            number=lambda row: row.mean,
            text=lambda row: _mean_text(row, metric, places),
            exact=lambda row: {
                metric.path: row.mean,
                "low": row.interval and row.interval.low,
                "high": row.interval and row.interval.high,
            },
        ),
        Column(
            "difference", f"difference [{confidence}]",
            "mean difference to the baseline over the seeds both have, with its interval, which is"
            f"{_covered(metric, [pair.interval for pair in pairs])}",
            number=lambda row: row.paired and row.paired.mean,
            text=lambda row: _difference_text(row, metric, places),
            exact=partial(_difference_exact, metric),
        ),
        *_verdict(comparison),
        *_balanced(comparison),
        _mean(
            "head_parameters", "parameters.head", "head parameters",
            "parameters of the head, which is all between the last feature map and the logits",
            count, counted=True, drop=12,
        ),
        _time(
            "epochs_to_target", f"epochs to {target}",
            "median epochs until the validation accuracy was reached; (2/3): two of three runs "
            "did; a run that never did counts as slower than all others",
            lambda row: row.epochs,
            lambda row: {
                "target": comparison.target,
                "reached": row.epochs and f"{row.epochs.count}/{row.epochs.total}",
                "median_epochs": row.epochs and row.epochs.median,
            },
            drop=11,
        ),
        Column(
            "p_holm", "p (Holm)",
            "two-sided p of no difference, by the t test with the variance of the interval, "
            "corrected for all comparisons of the table (Holm)",
            number=lambda row: row.paired and row.paired.p_holm,
            text=lambda row: probability(row.paired and row.paired.p_holm),
            exact=lambda row: {
                "p": row.paired and row.paired.p,
                "p_holm": row.paired and row.paired.p_holm,
                "p_sign_flip": row.paired and row.paired.p_sign_flip,
            },
            drop=10,
        ),
        Column(
            "n", "seeds", "seeds with a value of the metric",
            number=lambda row: row.n,
            text=lambda row: str(row.n),
            exact=lambda row: {"n": row.n, "seeds": " ".join(map(str, row.metric))},
            drop=9,
        ),
        _mean(
            "generalization_gap", "generalization_gap.accuracy", f"train − {held_out} (points)",
            f"training accuracy minus {held_out} accuracy, both without augmentation, in points; "
            "smaller overfits less",
            lambda gap: minus(f"{100 * gap:.1f}"), drop=8,
        ),
        _mean(
            "source_accuracy", "transfer.source.test_accuracy", "source accuracy (%)",
            "test accuracy of the sources on their own data",
            lambda accuracy: f"{100 * accuracy:.1f}", drop=7,
        ),
        _mean(
            "area_under_curve", "convergence.area_under_curve", "area under validation curve",
            "the mean of the validation accuracy over training: large if it is high early",
            lambda area: f"{area:.3f}", drop=5,
        ),
        _mean(
            "parameters", "parameters.total", "all parameters",
            "parameters of backbone and head", count, counted=True, drop=4,
        ),
        _mean(
            "macs", "macs.total", "MACs",
            "multiply-accumulates for one image", count, counted=True, drop=6,
        ),
        _time(
            "seconds_to_target", f"seconds to {target}",
            "median seconds of training until then, without evaluation and start-up; "
            f"{OTHER_WORK}",
            lambda row: row.seconds,
            lambda row: {"median_seconds": row.seconds and row.seconds.median},
            drop=3,
        ),
        _mean(
            "images_per_second", "images_per_second", "images/s",
            f"training images per second; {OTHER_WORK}", count, drop=2,
        ),
        Column(
            "probability_better", "P(better)",
            "share of shared seeds in which the group beats the baseline; a tie counts half",
            number=lambda row: row.paired and row.paired.probability_better,
            text=_probability_better_text,
            drop=1,
        ),
    ]  # fmt: skip


def _verdict(comparison: Comparison) -> list[Column]:
    """The column of verdicts; none without a margin."""
    metric, margin = comparison.measure, comparison.question.margin
    if margin is None:
        return []
    alpha = 1 - comparison.question.confidence
    unit = f" {metric.unit_of_difference}" if metric.unit_of_difference else ""
    return [
        Column(
            "verdict", f"verdict (±{margin:g})",
            f"better or worse: the {percent(1 - alpha)} interval excludes 0; equivalent: the "
            f"{percent(1 - 2 * alpha)} interval is inside ±{margin:g}{unit} (two one-sided tests); "
            f"“< {margin:g}”: a difference, but inside the margin; all after Holm's correction",
            number=lambda row: None,
            text=lambda row: _verdict_text(row, margin),
            exact=lambda row: {
                "verdict": row.verdict and row.verdict.kind,
                "within_margin": row.verdict and row.verdict.within,
                "needs_seeds": row.verdict and row.verdict.needs_seeds,
                "needs_images": row.verdict and row.verdict.needs_images,
            },
        )
    ]  # fmt: skip


def _balanced(comparison: Comparison) -> list[Column]:
    """Balanced accuracy, if it is not the metric; shown of groups tested on uneven classes."""
    if comparison.measure.path == BALANCED_ACCURACY:
        return []

    def text(row: Row) -> str:
        mean = row.mean_of(BALANCED_ACCURACY)
        uneven = any(has_uneven_classes(run.results.get("test")) for run in row.runs.values())
        return NOTHING if mean is None or not uneven else f"{100 * mean:.1f}"

    return [
        Column(
            "balanced_accuracy", "balanced accuracy (%)",
            "test accuracy as the mean over classes, however many images each has; shown where "
            f"the largest class has {UNEVEN} times as many as the smallest, or more",
            number=lambda row: row.mean_of(BALANCED_ACCURACY),
            text=text,
            drop=10,
            path=BALANCED_ACCURACY,
        )
    ]  # fmt: skip


def _verdict_text(row: Row, margin: float) -> str:
    if row.verdict is None:
        return NOTHING
    kind = row.verdict.kind
    both = kind in ("better", "worse") and row.verdict.within
    return f"{kind}, < {margin:g}" if both else kind


def _covered(metric: Measure, intervals: Sequence[Interval | None]) -> str:
    """What intervals cover, in words."""
    methods = [interval.method for interval in intervals if interval is not None]
    told = list(dict.fromkeys(metric.covers(method) for method in methods))
    return f" {' or '.join(told)}" if told else " not known"


def _key(key: str, index: int) -> Column:
    """A key of --by."""
    return Column(
        key, key, "",
        number=lambda row: None,
        text=lambda row: row.values[index],
        exact=lambda row: {key: row.values[index]},
    )  # fmt: skip


def _mean(
    name: str, path: str, title: str, explanation: str, told: Callable[[float], str],
    counted: bool = False, drop: int = 0,
) -> Column:  # fmt: skip
    """The mean over seeds of another number of results.json than the metric."""

    def text(row: Row) -> str:
        mean = row.mean_of(path)
        return NOTHING if mean is None else told(mean)

    return Column(
        name, title, explanation, lambda row: row.mean_of(path), text, counted, drop, path
    )


def _time(
    name: str, title: str, explanation: str, time: Callable[[Row], TimeToTarget | None],
    exact: Callable[[Row], dict[str, Any]], drop: int,
) -> Column:  # fmt: skip
    """The time to the target."""

    def number(row: Row) -> float | None:
        reached = time(row)
        return reached and reached.finite_median

    def text(row: Row) -> str:
        reached = time(row)
        return reached.text() if reached else NOTHING

    return Column(name, title, explanation, number, text, drop=drop, exact=exact)


def _places(comparison: Comparison) -> int:
    """Decimals of the metric in all rows: two digits of the usual half width."""
    metric, rows = comparison.measure, comparison.rows
    halves = sorted(metric.scale * row.interval.half for row in rows if row.interval)
    means = [metric.scale * abs(row.mean) for row in rows if row.mean is not None]
    return decimals(
        halves[len(halves) // 2] if halves else None,
        max(means, default=0.0),
        least=1 if metric.is_share else 0,
        most=2 if metric.is_share else 4,
    )


def _mean_text(row: Row, metric: Measure, places: int) -> str:
    if row.mean is None:
        return NOTHING
    told, inside = metric.told(row.mean, places), row.interval
    if inside is not None and inside.method == "wilson":  # not symmetric
        return f"{told} [{metric.told(inside.low, places)}, {metric.told(inside.high, places)}]"
    return f"{told} ± {metric.told(inside.half, places)}" if inside else told


def _difference_text(row: Row, metric: Measure, places: int) -> str:
    if row.paired is None:
        return "baseline" if row.is_baseline else NOTHING
    told = metric.told(row.paired.mean, places, "+")
    inside = row.paired.interval
    if inside is None:
        return told
    return f"{told} [{metric.told(inside.low, places)}, {metric.told(inside.high, places)}]"


def _difference_exact(metric: Measure, row: Row) -> dict[str, Any]:
    pair = row.paired
    interval = pair and pair.interval
    return {
        "baseline": row.baseline,
        "paired_seeds": pair and pair.n,
        "difference": pair and pair.mean,
        "difference_low": interval and interval.low,
        "difference_high": interval and interval.high,
        "interval_method": interval and interval.method,
        "interval_covers": interval and metric.covers(interval.method),
    }


def _probability_better_text(row: Row) -> str:
    if row.paired is None or row.paired.n < 2:
        return NOTHING
    share = f"{100 * row.paired.probability_better:.0f}%"
    return share if row.paired.n == row.n else f"{share} of {row.paired.n}"
