"""What a group costs against its baseline, in a sentence each: epochs to the target, parameters."""

from __future__ import annotations

from gapfc.compare.answer import Comparison
from gapfc.compare.convergence import TimeToTarget
from gapfc.compare.fields import value_of
from gapfc.compare.row import Row
from gapfc.compare.statistics import Paired
from gapfc.formatting import count, decimals, percent, plural, probability


def speed(row: Row, comparison: Comparison) -> str | None:
    """How many epochs it needs to the target, against its baseline's; None if that is not known.

    Where a run never got there, only how many did. A linear probe has no epochs.
    """
    if row.baseline is None or comparison.target is None:
        return None
    other = comparison.row(row.baseline)
    mine, theirs = row.epochs, other.epochs
    if mine is None or theirs is None or not mine.total or not theirs.total:
        return None
    runs = [*row.runs.values(), *other.runs.values()]
    if any(value_of(run, "protocol") == "linear_probe" for run in runs):
        return None
    target = f"{percent(comparison.target)} validation accuracy"
    pair = row.paired_epochs
    if pair is None:
        return (
            f"{target} was reached by {_runs(mine)} of it, and by {_runs(theirs)} of {other.label}."
        )
    size = f"{abs(pair.mean):.{_places(pair)}f}"
    way = "more" if pair.mean > 0 else "fewer"
    if pair.interval is None:
        if not any(pair.differences):
            return f"It reaches {target} in as many epochs, on each of {plural(pair.n, 'seed')}."
        why = "one seed" if pair.n == 1 else f"on each of {plural(pair.n, 'seed')}"
        return f"It needs {size} epochs {way} to {target} ({why}: no interval)."
    confidence = comparison.question.confidence
    if pair.told_apart(confidence):
        ends = sorted((abs(pair.interval.low), abs(pair.interval.high)))
        return f"It needs {size} epochs {way} to {target} ({_inside(pair, confidence, *ends)})."
    low, high = pair.interval.low, pair.interval.high
    held = ""
    if pair.interval.excludes_zero and pair.p_holm is not None:
        held = f", p = {probability(pair.p_holm)} once corrected".replace("= <", "<")
    told = f"{size} {way} ({_inside(pair, confidence, low, high)}{held})"
    return f"Whether it needs more or fewer epochs to {target} is open: {told}."


def size(row: Row, comparison: Comparison) -> str | None:
    """How much larger or smaller its head is; None where they are equal, or not known."""
    if row.baseline is None:
        return None
    mine, theirs = (r.mean_of("parameters.head") for r in (row, comparison.row(row.baseline)))
    if mine is None or theirs is None or mine == theirs or min(mine, theirs) < 0:
        return None
    if not mine or not theirs:
        both = (f"{count(n)} parameters" if n else "no parameter" for n in (mine, theirs))
        return "Its head has {}, that of {baseline} {}.".format(*both, baseline=row.baseline)
    factor = max(mine, theirs) / min(mine, theirs)
    places = 0 if factor >= 10 else 1 if factor >= 1.05 else 3
    way = "larger" if mine > theirs else "smaller"
    return (
        f"Its head is {factor:,.{places}f} times {way} ({count(mine)} against {count(theirs)} "
        "parameters)."
    )


def _runs(reached: TimeToTarget) -> str:
    return f"{reached.count} of {plural(reached.total, 'run')}"


def _inside(pair: Paired, confidence: float, low: float, high: float) -> str:
    places = _places(pair)
    ends = f"{low:.{places}f} to {high:.{places}f}".replace("-", "−")
    return f"{percent(confidence)} interval {ends} over {plural(pair.n, 'seed')}"


def _places(pair: Paired) -> int:
    shown = decimals(pair.interval.half if pair.interval else None, pair.mean, least=2, most=3)
    return shown - 1
