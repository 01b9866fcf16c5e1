"""The comparison in plain sentences, one for each comparison with a baseline."""

from __future__ import annotations

from gapfc.compare.answer import Comparison, Row
from gapfc.compare.metric import Measure
from gapfc.compare.statistics import Paired
from gapfc.formatting import decimals, probability


def sentences(comparison: Comparison) -> list[str]:
    """One sentence a group, best first; the baseline's own row has none."""
    return [sentence(row, comparison) for row in comparison.rows if not row.is_baseline]


def sentence(row: Row, comparison: Comparison) -> str:
    """What the seeds say of one group against its baseline, and how sure they are."""
    metric = comparison.measure
    pair = row.paired
    if pair is None:
        return f"{row.label} is not compared: {row.no_comparison or 'it has no value'}."
    alpha = 1 - comparison.question.confidence
    seeds = "1 seed" if pair.n == 1 else f"{pair.n} seeds"
    if pair.n == 1:
        return f"{row.label} is {_told(pair, metric, str(row.baseline))} (one seed: no interval)."
    if all(difference == 0 for difference in pair.differences):
        return f"{row.label} and {row.baseline} are equal in {metric.path} on each of {seeds}."
    if pair.interval is None:
        return (
            f"{row.label} is {_told(pair, metric, str(row.baseline))} on each of {seeds}: "
            "no spread, so no interval."
        )
    places = _places(pair, metric)
    interval = (
        f"{100 * comparison.question.confidence:g}% interval "
        f"{_range(pair, metric, places)}, {seeds}"
    )
    excludes_zero = pair.interval.low > 0 or pair.interval.high < 0
    corrected = pair.p_holm if pair.p_holm is not None else 1.0
    if excludes_zero and corrected <= alpha:
        return f"{row.label} is {_told(pair, metric, str(row.baseline))} ({interval})."
    if excludes_zero and pair.p is not None and pair.p > alpha:
        return (
            f"{row.label} is {_told(pair, metric, str(row.baseline))} ({interval}), but not told "
            f"apart by the paired t test (p = {probability(pair.p)})."
        )
    if excludes_zero:
        compared = sum(other.paired is not None for other in comparison.rows)
        return (
            f"{row.label} is {_told(pair, metric, str(row.baseline))} ({interval}), but not told "
            f"apart once {compared} comparisons are corrected for (p = {probability(corrected)})."
        )
    mean = f"{metric.scale * pair.mean:+.{places}f}".replace("-", "−")
    return (
        f"{row.label} and {row.baseline} are not told apart by {seeds} "
        f"(difference {mean}{_unit(metric)}, {interval.rpartition(', ')[0]})."
    )


def _told(pair: Paired, metric: Measure, baseline: str) -> str:
    if pair.mean == 0:
        return f"equal to {baseline} in {metric.path}"
    good = pair.mean * pair.better > 0
    size = f"{metric.scale * abs(pair.mean):.{_places(pair, metric)}f}{_unit(metric)}"
    if metric.scale == 100 and metric.better > 0:
        return f"{size} {'better' if good else 'worse'} than {baseline}"
    way = "higher" if pair.mean > 0 else "lower"
    return f"{size} {way} ({'better' if good else 'worse'}) than {baseline} in {metric.path}"


def _range(pair: Paired, metric: Measure, places: int) -> str:
    """The interval, turned round when the sentence tells the difference as its opposite."""
    assert pair.interval is not None
    ends = sorted((metric.scale * pair.interval.low, metric.scale * pair.interval.high))
    excludes_zero = ends[0] > 0 or ends[1] < 0
    if excludes_zero and ends[1] < 0:
        ends = [-ends[1], -ends[0]]
    low, high = (f"{end:.{places}f}".replace("-", "−") for end in ends)
    return f"{low} to {high}"


def _places(pair: Paired, metric: Measure) -> int:
    half = (pair.interval.high - pair.interval.low) / 2 if pair.interval else None
    shown = decimals(
        metric.scale * half if half else None,
        metric.scale * pair.mean,
        most=3 if metric.scale == 100 else 6,
    )
    return max(1, shown - 1) if metric.scale == 100 else shown


def _unit(metric: Measure) -> str:
    if metric.scale == 100:
        return " points"
    return f" {metric.unit}" if metric.unit else ""


def unusable_lines(comparison: Comparison, most: int = 20) -> list[str]:
    """Runs that take no part, counted by kind and named with the reason."""
    kinds: dict[str, int] = {}
    for run in comparison.unusable:
        kinds[run.kind] = kinds.get(run.kind, 0) + 1
    if not kinds:
        return []
    counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    lines = [f"Not in the comparison: {counted}"]
    lines += [f"  {run.kind}: {run.path} ({run.reason})" for run in comparison.unusable[:most]]
    if len(comparison.unusable) > most:
        lines.append(f"  … and {len(comparison.unusable) - most} more: --json FILE names them all")
    return lines
