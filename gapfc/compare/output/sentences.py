"""The comparison in plain sentences, one for each comparison with a baseline."""

from __future__ import annotations

from collections import Counter

from gapfc.compare.answer import Comparison
from gapfc.compare.metric import Measure
from gapfc.compare.row import Row
from gapfc.compare.statistics import Paired
from gapfc.formatting import decimals, percent, plural, printable, probability


def sentences(comparison: Comparison) -> list[str]:
    """One sentence per group, best first; the baseline's own row has none.

    What may confound the comparison follows in a few words.
    """
    told = []
    for row in (row for row in comparison.rows if not row.is_baseline):
        briefly = ", ".join(each.brief for each in comparison.confounds_of.get(row.label, []))
        told.append(sentence(row, comparison) + (f" Bear in mind: {briefly}." if briefly else ""))
    return told


def sentence(row: Row, comparison: Comparison) -> str:
    """What the seeds say of one group against its baseline, and how sure they are."""
    metric, pair, baseline = comparison.measure, row.paired, row.baseline
    if pair is None:
        return f"{row.label} is not compared: {row.no_comparison or 'it has no value'}."
    seeds = plural(pair.n, "seed")
    told = f"{row.label} is {_told(pair, metric, str(baseline))}"
    if pair.n == 1:
        return f"{told} (one seed: no interval)."
    if not any(pair.differences):
        return f"{row.label} and {baseline} are equal in {metric.path} on each of {seeds}."
    if pair.interval is None:
        return f"{told} on each of {seeds}: no spread, so no interval."
    interval = f"{percent(comparison.question.confidence)} interval {_range(pair, metric)}"
    if not pair.interval.excludes_zero:
        mean = _minus(metric.told(pair.mean, _places(pair, metric), "+"))
        return (
            f"{row.label} and {baseline} are not told apart by {seeds} "
            f"(difference {mean}{_unit(metric)}, {interval})."
        )
    told += f" ({interval}, {seeds})"
    alpha = 1 - comparison.question.confidence
    corrected = pair.p_holm if pair.p_holm is not None else 1.0
    if corrected <= alpha:
        return f"{told}."
    if pair.p is not None and pair.p > alpha:
        p = probability(pair.p)
        return f"{told}, but not told apart by the paired t test (p = {p})."
    compared = sum(other.paired is not None for other in comparison.rows)
    return (
        f"{told}, but not told apart once {compared} comparisons are corrected for "
        f"(p = {probability(corrected)})."
    )


def _told(pair: Paired, metric: Measure, baseline: str) -> str:
    if pair.mean == 0:
        return f"equal to {baseline} in {metric.path}"
    size = f"{metric.told(abs(pair.mean), _places(pair, metric))}{_unit(metric)}"
    judged = "better" if pair.mean * pair.better > 0 else "worse"
    if metric.is_share and metric.better > 0:
        return f"{size} {judged} than {baseline}"
    way = "higher" if pair.mean > 0 else "lower"
    return f"{size} {way} ({judged}) than {baseline} in {metric.path}"


def _range(pair: Paired, metric: Measure) -> str:
    """The interval, negated if the sentence states the opposite difference."""
    assert pair.interval is not None
    low, high = pair.interval.low, pair.interval.high
    if high < 0:
        low, high = -high, -low
    low_told, high_told = (_minus(metric.told(x, _places(pair, metric))) for x in (low, high))
    return f"{low_told} to {high_told}"


def _places(pair: Paired, metric: Measure) -> int:
    half = metric.scale * pair.interval.half if pair.interval else None
    mean = metric.scale * pair.mean
    shown = decimals(half, mean, most=3 if metric.is_share else 6)
    return max(1, shown - 1) if metric.is_share else shown


def _unit(metric: Measure) -> str:
    unit = metric.unit_of_difference
    return f" {unit}" if unit else ""


def _minus(number: str) -> str:
    return number.replace("-", "−")


def unusable_lines(comparison: Comparison, most: int = 20) -> list[str]:
    """Runs left out of the comparison, counted by kind and named with the reason."""
    kinds = Counter(run.status for run in comparison.unusable)
    if not kinds:
        return []
    counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    lines = [f"Not in the comparison: {counted}"]
    lines += [
        f"  {run.status}: {printable(str(run.path))} ({printable(str(run.reason))})"
        for run in comparison.unusable[:most]
    ]
    if len(comparison.unusable) > most:
        lines.append(f"  … and {len(comparison.unusable) - most} more: --json FILE names them all")
    return lines
