"""The comparison in plain sentences, for each group against its baseline."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gapfc.compare.answer import Comparison
from gapfc.compare.metric import Measure
from gapfc.compare.output.brief import brief
from gapfc.compare.output.speed_and_size import size, speed
from gapfc.compare.question import Question
from gapfc.compare.row import Row
from gapfc.compare.statistics import Paired
from gapfc.formatting import decimals, percent, plural, printable, probability


@dataclass(frozen=True)
class Finding:
    """What is said of one group: of the metric, of its epochs, of its size; and with what in mind.

    The first sentence names the group and its baseline; the others say "it". brief: all of them in
    a line, where groups are many.
    """

    label: str
    sentences: tuple[str, ...]
    bear_in_mind: str
    brief: str


def findings(comparison: Comparison) -> list[Finding]:
    """Of each group, best first; there is none of the baseline's own row."""
    found = []
    for row in (row for row in comparison.rows if not row.is_baseline):
        briefly = ", ".join(each.brief for each in comparison.confounds_of.get(row.label, []))
        parts = [sentence(row, comparison)]
        if row.paired is not None:
            parts += [part for each in (speed, size) if (part := each(row, comparison))]
        mind = f"Bear in mind: {briefly}." if briefly else ""
        found.append(Finding(row.label, tuple(parts), mind, brief(row, comparison)))
    return found


def sentences(comparison: Comparison) -> list[str]:
    """The same as one text per group.

    What may confound the comparison follows in a few words.
    """
    return [
        " ".join(filter(None, (*found.sentences, found.bear_in_mind)))
        for found in findings(comparison)
    ]


def sentence(row: Row, comparison: Comparison) -> str:
    """What the runs say of one group against its baseline, and how sure they are."""
    metric, pair, baseline = comparison.measure, row.paired, row.baseline
    if pair is None:
        return f"{row.label} is not compared: {row.no_comparison or 'it has no value'}."
    seeds = plural(pair.n, "seed")
    told = f"{row.label} is {_told(pair, metric, str(baseline))}"
    if pair.interval is None:
        if pair.n > 1 and not any(pair.differences):
            return f"{row.label} and {baseline} are equal in {metric.path} on each of {seeds}."
        if pair.n > 1:
            return f"{told} on each of {seeds}: no spread, so no interval."
        return f"{told} ({pair.no_interval})."
    confidence, alpha = comparison.question.confidence, 1 - comparison.question.confidence
    low, high = pair.interval.low, pair.interval.high
    if row.verdict is not None and row.verdict.kind == "equivalent":
        return _equivalent(row, pair, comparison)
    inside = _inside(pair, metric, confidence, low, high, pair.interval.excludes_zero)
    if not pair.interval.excludes_zero:
        ends = _excluded(pair, metric) if row.verdict is None else _undecided(row, comparison)
        return (
            f"{row.label} and {baseline} are not told apart{_of(metric)} "
            f"(difference {_signed(pair, metric)}, {inside}){ends}"
        )
    told += f" ({inside})"
    if row.verdict is not None and row.verdict.within:
        told += f", by less than the margin of {_margin(comparison)}"
    corrected = pair.p_holm if pair.p_holm is not None else 1.0
    if corrected <= alpha:
        return f"{told}."
    ends = "." if row.verdict is None else _undecided(row, comparison)
    if pair.p is not None and pair.p > alpha:
        p = probability(pair.p)
        return f"{told}, but not told apart by the paired t test (p = {p}){ends}"
    compared = sum(other.paired is not None for other in comparison.rows)
    return (
        f"{told}, but not told apart once {compared} comparisons are corrected for "
        f"(p = {probability(corrected)}){ends}"
    )


def covered(comparison: Comparison) -> str | None:
    """What the intervals of the table cover; None where there is none."""
    metric = comparison.measure
    labels: dict[str, list[str]] = {}
    for row in comparison.rows:
        interval = row.paired.interval if row.paired else None
        for each in (row.interval, interval):
            if each is not None and row.label not in labels.get(metric.covers(each.method), []):
                labels.setdefault(metric.covers(each.method), []).append(row.label)
    if not labels:
        return None
    begins = f"{percent(comparison.question.confidence)} intervals (± and [ ]) are"
    if len(labels) == 1:
        return f"{begins} {next(iter(labels))}."
    told = (f"{what} ({'; '.join(which)})" for what, which in labels.items())
    return f"{begins} {'; '.join(told)}."


def _equivalent(row: Row, pair: Paired, comparison: Comparison) -> str:
    confidence = 1 - 2 * (1 - comparison.question.confidence)
    narrow = pair.estimate.interval(confidence)
    assert narrow is not None  # or it were not equivalent
    metric = comparison.measure
    inside = _inside(pair, metric, confidence, narrow.low, narrow.high, False)
    return (
        f"{row.label} and {row.baseline} are equivalent in {metric.path}, within "
        f"{_margin(comparison)} (difference {_signed(pair, metric)}, {inside})."
    )


def _undecided(row: Row, comparison: Comparison) -> str:
    """The end of a sentence: what would decide it."""
    assert row.verdict is not None
    begins = f": undecided at a margin of {_margin(comparison)}"
    seeds, images = row.verdict.needs_seeds, row.verdict.needs_images
    if seeds is not None:
        return f"{begins}; about {plural(seeds, 'seed')} would decide."
    if images is not None and row.paired is not None and row.paired.n == 1:
        return f"{begins}; about {_rounded(images)} test images would decide for this one seed."
    if images is not None:
        return f"{begins}; no number of seeds would, but about {_rounded(images)} test images."
    return f"{begins}; neither more seeds nor more images alone would decide."


def _rounded(number: int) -> str:
    """Up, to two digits: it is an estimate."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return f"{-(-number // step) * step:,}"


def _excluded(pair: Paired, metric: Measure) -> str:
    """The end of a sentence: which differences there cannot be, as the interval is told."""
    assert pair.interval is not None
    largest = max(abs(pair.interval.low), abs(pair.interval.high))
    if metric.is_share and largest >= 1:
        return ": no difference is excluded."
    bound = metric.told(largest, _places(pair, metric))
    where = " for this one seed" if pair.n == 1 else ""
    return f": differences above {bound}{_unit(metric)} are excluded{where}."


def _inside(
    pair: Paired, metric: Measure, confidence: float, low: float, high: float, flip: bool
) -> str:
    """An interval and what it is over; as sizes if `flip` and all of it is negative."""
    if flip and high < 0:
        low, high = -high, -low
    low_told, high_told = (metric.told(x, _places(pair, metric)) for x in (low, high))
    return f"{percent(confidence)} interval {low_told} to {high_told} {_over(pair, metric)}"


def _over(pair: Paired, metric: Measure) -> str:
    """What an interval covers, counted: `over 5 seeds and 359 test images`."""
    told = metric.covers(pair.estimate.method).replace("seeds", plural(pair.n, "seed"), 1)
    images = pair.estimate.images
    return told.replace("test images", f"{images:,} test images", 1) if images else told


def _margin(comparison: Comparison) -> str:
    return f"{comparison.question.margin:g}{_unit(comparison.measure)}"


def _signed(pair: Paired, metric: Measure) -> str:
    return f"{metric.told(pair.mean, _places(pair, metric), '+')}{_unit(metric)}"


def _told(pair: Paired, metric: Measure, baseline: str) -> str:
    if pair.mean == 0:
        return f"equal to {baseline} in {metric.path}"
    size = f"{metric.told(abs(pair.mean), _places(pair, metric))}{_unit(metric)}"
    judged = "better" if pair.mean * pair.better > 0 else "worse"
    if metric.is_share and metric.better > 0:
        return f"{size} {judged} than {baseline}{_of(metric)}"
    way = "higher" if pair.mean > 0 else "lower"
    return f"{size} {way} ({judged}) than {baseline} in {metric.path}"


def _of(metric: Measure) -> str:
    """What is compared, where it is not what everybody takes it for."""
    return "" if metric.path == Question.metric else f" in {metric.path}"


def _places(pair: Paired, metric: Measure) -> int:
    half = metric.scale * pair.interval.half if pair.interval else None
    mean = metric.scale * pair.mean
    shown = decimals(half, mean, most=3 if metric.is_share else 6)
    return max(1, shown - 1) if metric.is_share else shown


def _unit(metric: Measure) -> str:
    unit = metric.unit_of_difference
    return f" {unit}" if unit else ""


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
