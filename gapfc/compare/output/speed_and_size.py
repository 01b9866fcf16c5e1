"""What a group costs against its baseline, in a sentence each: epochs to the target, parameters."""

from __future__ import annotations

from gapfc.compare.answer import Comparison
from gapfc.compare.fields import value_of
from gapfc.compare.row import Row
from gapfc.compare.statistics import Paired
from gapfc.formatting import count, decimals, minus, percent, plural, probability


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
        both = f"in {mine.count} of {plural(mine.total, 'run')}, {other.label} in {theirs.count}"
        return f"It reached {target} {both} of {theirs.total}."
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
    sizes, factor = _sizes(row, comparison), size_factor(row, comparison)
    if sizes is None or not factor:
        return None
    if not all(sizes):
        both = (f"{count(n)} parameters" if n else "no parameter" for n in sizes)
        return "Its head has {}, that of {baseline} {}.".format(*both, baseline=row.baseline)
    mine, theirs = map(count, sizes)
    return f"Its {factor.replace('head', 'head is')} ({mine} against {theirs} parameters)."


def size_factor(row: Row, comparison: Comparison) -> str:
    """`head 819 times smaller`; empty where they are equal, or not known."""
    sizes = _sizes(row, comparison)
    if sizes is None or sizes[0] == sizes[1]:
        return ""
    mine, theirs = sizes
    if not mine or not theirs:
        return f"head {'without' if theirs else 'with'} parameters"
    factor = max(sizes) / min(sizes)
    places = 0 if factor >= 10 else 1 if factor >= 1.05 else 3
    return f"head {factor:,.{places}f} times {'larger' if mine > theirs else 'smaller'}"


def _sizes(row: Row, comparison: Comparison) -> tuple[float, float] | None:
    """Parameters of its head and of its baseline's."""
    if row.baseline is None:
        return None
    mine, theirs = (r.mean_of("parameters.head") for r in (row, comparison.row(row.baseline)))
    return (
        (mine, theirs)
        if mine is not None and theirs is not None and min(mine, theirs) >= 0
        else None
    )


def _inside(pair: Paired, confidence: float, low: float, high: float) -> str:
    places = _places(pair)
    ends = minus(f"{low:.{places}f} to {high:.{places}f}")
    return f"{percent(confidence)} interval {ends} over {plural(pair.n, 'seed')}"


def _places(pair: Paired) -> int:
    shown = decimals(pair.interval.half if pair.interval else None, pair.mean, least=2, most=3)
    return shown - 1
