"""From an estimate and a margin to a verdict, and Holm's correction over all verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gapfc.claims.claim import Contrast
from gapfc.compare.equivalence import judge
from gapfc.compare.estimate import Estimate
from gapfc.compare.statistics import holm

Kind = Literal[
    "supported", "refuted: opposite", "refuted: equivalent", "undecided", "not testable here"
]
SUPPORTED: Kind = "supported"
OPPOSITE: Kind = "refuted: opposite"
EQUIVALENT: Kind = "refuted: equivalent"
UNDECIDED: Kind = "undecided"
NOT_TESTABLE: Kind = "not testable here"

CONFIDENCE = 0.95
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a contrast, or of a claim.

    Attributes:
        kind: one of the five.
        why: in words: what makes it undecided or not testable; empty for the others.
        change: what would change it.
        p: of the decision, before Holm; None where there is none to correct (an exact number).
        p_holm: after it.
        before: the kind before Holm's correction, where that took it back.
    """

    kind: Kind
    why: str = ""
    change: str = ""
    p: float | None = None
    p_holm: float | None = None
    before: Kind | None = None


def decide(
    estimate: Estimate, margin: float, contrast: Contrast, exact: bool, confidence: float
) -> Verdict:
    """The verdict on a contrast by itself.

    estimate: `of` minus `against`, or the logarithm of their quotient, so that above 0 speaks for
    the claim (`toward`). margin: in the same unit. exact: a number that no seed changes, such as a
    count of parameters, whose interval is a point.
    """
    if exact:
        return Verdict(_of_point(estimate.mean, margin, contrast))
    if contrast.says == "kept":
        return _kept(estimate, margin, confidence)
    judged = judge(estimate, margin, confidence)
    kinds: dict[str, Kind] = {"above": SUPPORTED, "below": OPPOSITE, "inside": EQUIVALENT}
    kind = kinds.get(judged.kind, UNDECIDED)
    if kind != UNDECIDED:
        return Verdict(kind, p=judged.p)
    if judged.p is None:
        return Verdict(NOT_TESTABLE, "the runs of all seeds say exactly the same: no interval")
    return Verdict(
        UNDECIDED,
        "the interval reaches over the margin",
        needed(judged.needs_seeds, judged.needs_images),
        judged.p,
    )


def needed(seeds: int | None, images: int | None) -> str:
    """What would decide, in words."""
    if seeds is not None:
        return f"about {seeds} seeds would decide it by its own interval, if mean and spread stay"
    if images is not None:
        return f"about {images:,} test images would decide it; more seeds alone would not"
    return "neither more seeds nor more images alone would decide it"


def _of_point(value: float, margin: float, contrast: Contrast) -> Kind:
    if contrast.says == "kept":
        return SUPPORTED if value > -margin else OPPOSITE
    if abs(value) <= margin:
        return EQUIVALENT
    return SUPPORTED if value > 0 else OPPOSITE


def _kept(estimate: Estimate, margin: float, confidence: float) -> Verdict:
    """Not worse by the margin: the interval lies above -margin; opposite: wholly below it."""
    interval = estimate.interval(confidence)
    if interval is None:
        # Nothing spreads, as where no prediction changes: then the mean is all there is.
        return Verdict(SUPPORTED if estimate.mean > -margin else OPPOSITE)
    p = estimate.p(-margin)
    if interval.low > -margin:
        return Verdict(SUPPORTED, p=p)
    if interval.high < -margin:
        return Verdict(OPPOSITE, p=p)
    judged = judge(replace(estimate, mean=estimate.mean + margin), 0.0, confidence)
    return Verdict(
        UNDECIDED,
        "the interval reaches over the margin",
        needed(judged.needs_seeds, judged.needs_images),
        p,
    )


def joined(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a claim whose every primary contrast has to hold.

    One that is refuted refutes it; else one that cannot be tested or decided leaves it so. The p of
    a claim that holds is the largest of theirs (an intersection-union test, Berger 1982); of one
    that is refuted the smallest, times the number of those that could have refuted it (Bonferroni).
    """
    refuting = [verdict for verdict in verdicts if verdict.kind in (OPPOSITE, EQUIVALENT)]
    if refuting:
        chances = sum(verdict.p is not None for verdict in verdicts)
        first = min(refuting, key=_p)
        return replace(first, p=None if first.p is None else min(1.0, chances * first.p))
    for kind in (NOT_TESTABLE, UNDECIDED):
        found = [verdict for verdict in verdicts if verdict.kind == kind]
        if found:
            return max(found, key=_p)
    return max(verdicts, key=_p)


def _p(verdict: Verdict) -> float:
    return 0.0 if verdict.p is None else verdict.p


def corrected(verdicts: Sequence[Verdict], alpha: float = 1 - CONFIDENCE) -> list[Verdict]:
    """Verdicts of several claims, each undecided unless it stands after Holm's correction."""
    adjusted = holm([v.p if v.kind != NOT_TESTABLE else None for v in verdicts])
    told = []
    for verdict, p in zip(verdicts, adjusted, strict=True):
        if p is not None and p > alpha and verdict.kind not in (UNDECIDED, NOT_TESTABLE):
            told.append(
                replace(
                    verdict,
                    kind=UNDECIDED,
                    before=verdict.kind,
                    p_holm=p,
                    why=f"{verdict.kind} by its own interval, but not once it is corrected for "
                    f"all contrasts and claims (p = {p:.2f})",
                    change="more seeds would help",
                )
            )
        else:
            told.append(replace(verdict, p_holm=p))
    return told


def toward(contrast: Contrast) -> int:
    """+1 where more of `of` speaks for the claim, -1 where less does."""
    return -1 if contrast.says == "lower" else 1


def in_unit(contrast: Contrast, margin: float) -> float:
    """A margin of the claim as `decide` takes it: a share, or the logarithm of a factor."""
    scaled = {"factor": math.log(margin) if margin > 0 else 0.0, "points": margin / 100}
    return scaled.get(contrast.unit, margin)
