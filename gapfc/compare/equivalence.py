"""Whether an estimate is beyond a margin, inside it, or what it would take to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from gapfc.compare.crossed import variance_of_mean
from gapfc.compare.estimate import Array, Estimate

MOST_SEEDS = 1000
MOST_TIMES_THE_IMAGES = 1000

Kind = Literal["above", "below", "inside", "undecided"]


@dataclass(frozen=True)
class Judgement:
    """Where the mean lies by its interval, at an error of alpha = 1 - confidence.

    kind: "above" where the 1 - alpha interval is wholly above +margin, "below" where it is wholly
        below -margin, "inside" where the 1 - 2 alpha interval is wholly inside ±margin (two
        one-sided tests), else "undecided".
    p: the smallest alpha at which it would be decided, by Student's t; to be corrected where
        several are judged at once. None without an interval.
    needs_seeds: if undecided, how many seeds on as many images would decide it, were the mean and
        the variance components as estimated here (a chance of about one half). None if no number
        up to MOST_SEEDS would, as where images dominate.
    needs_images: the number of images, with as many seeds, where no number of seeds would do.
    """

    kind: Kind
    p: float | None
    needs_seeds: int | None = None
    needs_images: int | None = None


def judge(estimate: Estimate, margin: float, confidence: float = 0.95) -> Judgement:
    """Judge the mean by `margin`, in its own unit (0.005 for half a point of accuracy).

    Without an interval it is undecided. Raises ValueError for a margin below 0 or a confidence
    outside (0.5, 1).
    """
    if not margin >= 0:
        raise ValueError(f"a margin of {margin}, instead of 0 or more")
    if not 0.5 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}, instead of one in (0.5, 1)")
    alpha = 1 - confidence
    wide, narrow = estimate.interval(confidence), estimate.interval(1 - 2 * alpha)
    outside = estimate.p(margin if estimate.mean > 0 else -margin)
    inside = estimate.p_inside(margin)
    if wide is None or narrow is None or outside is None or inside is None:
        return Judgement("undecided", None)
    beyond = abs(estimate.mean) > margin
    p = outside if beyond else inside
    if wide.low > margin:
        return Judgement("above", p)
    if wide.high < -margin:
        return Judgement("below", p)
    if -margin < narrow.low and narrow.high < margin:
        return Judgement("inside", p)
    half = abs(abs(estimate.mean) - margin)
    needed = needs(estimate, [(confidence if beyond else 1 - 2 * alpha, half)])
    return Judgement("undecided", p, *needed)


@dataclass(frozen=True)
class Verdict:
    """What a comparison says of a margin.

    kind: "better" or "worse" where the 1 - alpha interval excludes 0 and Holm's p agrees; else
        "equivalent" where it is `within`; else "undecided".
    within: whether the 1 - 2 alpha interval is wholly inside ±margin, and Holm's p of the two
        one-sided tests agrees. May hold beside "better": better, but by less than the margin.
    needs_seeds, needs_images: as of a Judgement, for "better", "worse" or "equivalent".
    """

    kind: Literal["better", "worse", "equivalent", "undecided"]
    within: bool
    needs_seeds: int | None = None
    needs_images: int | None = None


def verdict(
    estimate: Estimate, better: int, margin: float, confidence: float, apart: float | None,
    inside: float | None, comparisons: int,
) -> Verdict:  # fmt: skip
    """The verdict on a difference by `margin` > 0, in its own unit.

    better: +1 where larger is better, -1 where smaller is. apart, inside: p of no difference and
    of the two one-sided tests, corrected for all comparisons of the table.
    """
    alpha = 1 - confidence
    wide, narrow = estimate.interval(confidence), estimate.interval(1 - 2 * alpha)
    if wide is None or narrow is None or apart is None or inside is None:
        return Verdict("undecided", False)
    within = -margin < narrow.low and narrow.high < margin and inside <= alpha
    if wide.excludes_zero and apart <= alpha:
        return Verdict("better" if better * estimate.mean > 0 else "worse", within)
    if within:
        return Verdict("equivalent", True)
    # Bonferroni's alpha: Holm's is never smaller.
    alpha /= comparisons
    size = abs(estimate.mean)
    needed = needs(estimate, [(1 - alpha, size), (1 - 2 * alpha, margin - size)])
    return Verdict("undecided", False, *needed)


def needs(
    estimate: Estimate, widths: Sequence[tuple[float, float]]
) -> tuple[int | None, int | None]:
    """Seeds, or else images, with which an interval's half width would be below one of `widths`.

    widths: of confidence and half width. The variance components are taken from the mean squares
    at hand: the residual's MS_residual, the seeds' (MS_seed - MS_residual) / I, the images'
    (MS_image - MS_residual) / S, none below 0. Both None if neither alone is enough, or unknown.
    """
    if estimate.variance is None:
        return None, None
    seeds, images = estimate.seeds, max(1, estimate.images)
    if seeds > 1:
        more = np.arange(seeds + 1.0, MOST_SEEDS + 1)
        enough = np.flatnonzero(_narrow(estimate, more, np.full(len(more), float(images)), widths))
        if len(enough):
            return int(more[enough[0]]), None
    if estimate.images:
        steps = np.geomspace(1.01, MOST_TIMES_THE_IMAGES, 700)
        more = np.unique(np.ceil(images * steps))
        enough = np.flatnonzero(_narrow(estimate, np.full(len(more), float(seeds)), more, widths))
        if len(enough):
            return None, int(more[enough[0]])
    return None, None


def _narrow(
    estimate: Estimate, seeds: Array, images: Array, widths: Sequence[tuple[float, float]]
) -> Array:
    """Whether so many seeds [n] and images [n] would make an interval narrow enough, [n]."""
    residual = estimate.ms_residual
    of_seeds = max(0.0, estimate.ms_seed - residual) / max(1, estimate.images)
    of_images = max(0.0, estimate.ms_image - residual) / estimate.seeds
    variance, df = variance_of_mean(
        residual + images * of_seeds, residual + seeds * of_images, residual, seeds, images
    )
    error = np.sqrt(variance)
    narrow = [special.stdtrit(df, 0.5 + c / 2) * error < half for c, half in widths if half > 0]
    return np.any(narrow, axis=0) if narrow else np.zeros(len(seeds), bool)
