"""Verdicts and numbers in words, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from gapfc.claims.carry_out import PROBE, Answer, Tested
from gapfc.claims.claim import Claim
from gapfc.claims.verdict import CONFIDENCE, EQUIVALENT, NOT_TESTABLE, OPPOSITE, SUPPORTED, toward
from gapfc.compare.metric import measure
from gapfc.formatting import count, minus, plural, probability

# Behind a number in the unit of a contrast.
UNITS = {"points": " points", "factor": "×", "value": ""}


def margin(claim: Claim) -> str:
    """The margin with its unit: `5 points`, `10×`."""
    told = f"{claim.margin:g}{UNITS[claim.unit]}"
    return "1 point" if told == "1 points" else told


def shown(answer: Answer) -> tuple[float, float, float] | None:
    """The estimate and the ends of its interval: `of` minus `against` in points, or their quotient.

    Whatever the claim says of its direction. None without an estimate.
    """
    estimate = answer.measured.estimate
    if estimate is None:
        return None
    interval = estimate.interval(CONFIDENCE)
    low = estimate.mean if interval is None else interval.low
    high = estimate.mean if interval is None else interval.high
    sign = toward(answer.contrast)
    ends = sorted((sign * low, sign * high))
    if answer.contrast.unit == "factor":
        return math.exp(sign * estimate.mean), math.exp(ends[0]), math.exp(ends[1])
    scale = 100 if answer.contrast.unit == "points" else 1
    return scale * sign * estimate.mean, scale * ends[0], scale * ends[1]


def effect(answer: Answer) -> str:
    """`−17.2 points [−21.4, −13.0]`, `1.31× [1.02, 1.68]`, or a dash."""
    found = shown(answer)
    if found is None:
        return "–"
    value, low, high = found
    if answer.contrast.unit == "factor":
        if low == high:
            return f"1/{1 / value:.3g}" if value < 1 else f"{value:.3g}×"
        return f"{value:.2f}× [{low:.2f}, {high:.2f}]"
    unit, places = UNITS[answer.contrast.unit], 1 if answer.contrast.unit == "points" else 3
    told = f"{value:+.{places}f}{unit}"
    if low != high:
        told += f" [{low:.{places}f}, {high:.{places}f}]"
    return minus(told)


def values(answer: Answer) -> str:
    """What both arms measured, in the metric's own unit: `gap 5.1% against fc 22.3%`."""
    contrast, measured = answer.contrast, answer.measured
    if measured.of is None or measured.against is None:
        return ""
    ours = _told(contrast.metrics[0], measured.of)
    theirs = _told(contrast.against_metrics[0], measured.against)
    # Two metrics of one arm go by their own names.
    names = (contrast.of, contrast.against)
    if contrast.of == contrast.against:
        names = (_short(contrast.metrics[0]), _short(contrast.against_metrics[0]))
    censored = (measured.censored_of, measured.censored_against)
    return " against ".join(
        f"{name} {value}" + (f" ({lost} never reached it)" if lost else "")
        for name, value, lost in zip(names, (ours, theirs), censored, strict=True)
    )


def _short(metric: str) -> str:
    return metric.removeprefix(PROBE).removesuffix(".accuracy")


def metrics(answer: Answer) -> str:
    """What was measured, by its path in results.json and probes.json."""
    contrast = answer.contrast
    told = " and ".join(contrast.metrics)
    if contrast.metrics == contrast.against_metrics:
        return told
    return f"{told}, against {' and '.join(contrast.against_metrics)}"


def _told(metric: str, value: float) -> str:
    if " / " in metric:
        return minus(f"{100 * value:.1f}%")
    unit = measure(metric)
    if unit.is_share or metric.endswith(("cam.pointing", "energy", "chance", "untrained")):
        return minus(f"{100 * value:.1f}%")
    return count(value) if value >= 100 else minus(f"{value:.3g}")


def told(answer: Answer) -> tuple[str, str]:
    """The difference, and what both arms measured; empty where there is neither."""
    return (effect(answer) if answer.measured.estimate else "", values(answer))


def covers(answer: Answer) -> str:
    """What the interval covers: `5 seeds, 898 images`."""
    estimate = answer.measured.estimate
    if estimate is None:
        return ""
    if answer.measured.exact:
        return "exact"
    seeds = plural(estimate.seeds, "seed")
    return f"{seeds} × {estimate.images:,} images" if estimate.images else seeds


def because(tested: Tested) -> str:
    """Why the verdict is what it is, in one sentence, with what would change it."""
    verdict = tested.verdict
    if verdict.why:
        return f"{verdict.why}{'; ' + verdict.change if verdict.change else ''}"
    deciding = decisive(tested)
    found = shown(deciding)
    if found is None:
        return ""
    ends = [abs(found[1]), abs(found[2])]
    fixed = margin(tested.claim)
    if deciding.contrast.unit == "factor":
        ends = [math.exp(abs(math.log(end))) for end in found[1:]]
    beyond = f"{min(ends):.3g}{UNITS[deciding.contrast.unit]}"
    if deciding.contrast.says == "kept":
        side = "above" if verdict.kind == SUPPORTED else "below"
        return f"the whole interval lies {side} a loss of {fixed}"
    if verdict.kind in (SUPPORTED, OPPOSITE):
        side = "" if verdict.kind == SUPPORTED else ", on the other side"
        return f"beyond the margin of {fixed}{side}, and would be with any margin up to {beyond}"
    if verdict.kind == EQUIVALENT:
        return f"the difference is less than the margin of {fixed}, which was fixed beforehand"
    return ""


def decisive(tested: Tested) -> Answer:
    """The primary contrast that the verdict rests on."""
    primary = [answer for answer in tested.answers if answer.primary]
    kind = tested.verdict.before or tested.verdict.kind
    for answer in primary:
        if answer.verdict.kind == kind:
            return answer
    return next((a for a in primary if a.verdict.kind != NOT_TESTABLE), primary[0])


def corrected(tested: Sequence[Tested], each: Tested) -> str:
    """`p = 0.003 (Holm, 10 claims)`, without what corrects nothing; empty where there is no p."""
    if each.verdict.p_holm is None:
        return ""
    judged = sum(other.verdict.p_holm is not None for other in tested)
    holm = f" (Holm, {plural(judged, 'claim')})" if judged > 1 else ""
    return f"p = {probability(each.verdict.p_holm)}{holm}".replace("= <", "<")


def command(claim: Claim, typed: Sequence[str]) -> str:
    """What repeats one claim."""
    words = [word for word in typed if not word.startswith("only=")]
    return shlex.join(["gapfc", "claims", f"only={claim.number}", *words])
