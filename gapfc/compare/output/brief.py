"""One line for each group where there are too many for three sentences each."""

from __future__ import annotations

from gapfc.compare.answer import Comparison
from gapfc.compare.output.speed_and_size import size_factor
from gapfc.compare.row import Row
from gapfc.compare.statistics import Paired
from gapfc.formatting import decimals, minus, percent


def brief(row: Row, comparison: Comparison) -> str:
    """`gap: not told apart from fc, +0.2 points [−1.5, 1.8]; …`: metric, epochs, head."""
    pair = row.paired
    if pair is None:
        return f"{row.label}: not compared, {row.no_comparison or 'it has no value'}"
    parts = [_metric(row, pair, comparison), _epochs(row, comparison), size_factor(row, comparison)]
    return f"{row.label}: {'; '.join(filter(None, parts))}"


def explained(comparison: Comparison) -> str:
    """What stands in the brackets."""
    told = f"[ ]: {percent(comparison.question.confidence)} interval."
    if comparison.target is not None:
        told += f" Epochs: to {percent(comparison.target)} validation accuracy."
    compared = sum(row.paired is not None for row in comparison.rows)
    return (
        f"{told} Not told apart: by the interval, or once {compared} comparisons are corrected for."
    )


def _metric(row: Row, pair: Paired, comparison: Comparison) -> str:
    metric, confidence = comparison.measure, comparison.question.confidence
    if row.verdict is not None:
        told = {"equivalent": "equivalent to", "undecided": "undecided against"}.get(
            row.verdict.kind, f"{row.verdict.kind} than"
        )
    elif pair.told_apart(confidence):
        told = "better than" if pair.mean * pair.better > 0 else "worse than"
    else:
        told = "not told apart from" if pair.interval else "no interval against"
    half = metric.scale * pair.interval.half if pair.interval else None
    places = decimals(half, metric.scale * pair.mean, *((1, 2) if metric.is_share else (0, 4)))
    unit = f" {metric.unit_of_difference}" if metric.unit_of_difference else ""
    number = f"{metric.told(pair.mean, places, '+')}{unit}"
    return f"{told} {row.baseline}, {number}{_ends(pair, metric.scale, places)}"


def _epochs(row: Row, comparison: Comparison) -> str:
    if row.baseline is None or row.epochs is None:
        return ""
    pair, other = row.paired_epochs, comparison.row(row.baseline).epochs
    if pair is None:
        if other is None or not row.epochs.total or not other.total:
            return ""
        reached = (f"{each.count} of {each.total}" for each in (row.epochs, other))
        return "target reached in {} runs ({baseline}: {})".format(*reached, baseline=row.baseline)
    if not any(pair.differences):
        return "as many epochs"
    way = "more" if pair.mean > 0 else "fewer"
    if pair.interval is None:
        return f"{abs(pair.mean):.1f} epochs {way} (no interval)"
    if pair.told_apart(comparison.question.confidence):
        # The size of a difference: its direction is in the word.
        ends = sorted((abs(pair.interval.low), abs(pair.interval.high)))
        return f"{abs(pair.mean):.1f} epochs {way} [{ends[0]:.1f}, {ends[1]:.1f}]"
    return f"epochs not told apart, {minus(f'{pair.mean:+.1f}')}{_ends(pair, 1.0, 1)}"


def _ends(pair: Paired, scale: float, places: int) -> str:
    if pair.interval is None:
        return ""
    return minus(
        f" [{scale * pair.interval.low:.{places}f}, {scale * pair.interval.high:.{places}f}]"
    )
