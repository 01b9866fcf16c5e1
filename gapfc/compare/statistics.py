"""Paired comparison of two groups of runs over the seeds they share, and over the test images.

Which interval. Where it is known what each test image said, the crossed one, over seeds and images
(gapfc.compare.crossed). Elsewhere it is over seeds alone. A run costs minutes to days, so there are
only 2 to 5 of them, and then a percentile or BCa bootstrap of the mean is wrong: no resampled mean
leaves the range of the n differences, and for a symmetric distribution that range misses the centre
with probability 2^(1-n). No such interval can reach 95% below 6 seeds (75% for 3, 93.75% for 5),
and the percentile interval is narrower still, by sqrt((n-1)/n) and by using z for t (Hesterberg,
"What Teachers Should Know About the Bootstrap", The American Statistician 69(4), 2015). So below
`BOOTSTRAP_FROM` seeds the interval is Student's, exact for normal differences; from there on it is
Hesterberg's *expanded* percentile bootstrap, which corrects both and follows skewness.

Measured by the slow test `test_coverage_of_intervals_over_seeds`, share of 1,500 samples whose 95%
interval holds the true mean, ours and (plain percentile bootstrap):

    n            2              3              5              10
    normal       0.95 (0.50)    0.95 (0.75)    0.96 (0.84)    0.94 (0.91)
    t, 4 df                     0.96 (0.76)    0.96 (0.82)    0.94 (0.90)
    uniform                     0.92 (0.74)    0.94 (0.85)    0.95 (0.90)
    exponential                 0.88 (0.68)    0.88 (0.77)    0.91 (0.86)

An interval over seeds alone covers their spread (initial weights, order, augmentation, dropout) on
this test set. It does not cover which images the test set happens to hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy import special

from gapfc.compare.crossed import crossed
from gapfc.compare.estimate import (
    RESAMPLES,
    RESAMPLING_SEED,
    Array,
    Estimate,
    Interval,
    seeds_alone,
)

EXACT_SIGN_FLIPS = 12  # 2^12 sign patterns are enumerated; above that, RESAMPLES of them are drawn


@final
@dataclass(frozen=True)
class Paired:
    """Group minus baseline over the shared seeds, in the metric's own unit.

    better: +1 where larger is better, -1 where smaller is.
    estimate: what interval and p follow from.
    interval: None with the reason in `no_interval` ("one seed: no interval", …).
    p: two-sided, of a t test with the interval's variance; None where that is not known.
    p_sign_flip: over seeds alone, assumes only that a difference is as likely as its negative, and
        cannot go below 2^(1-n); None with one seed.
    p_holm: p corrected for all comparisons of the table; set by the caller.
    probability_better: P(A > B), the chance that a run beats the baseline's run of the same seed:
        the share of shared seeds where it does, ties counting half (Bouthillier et al.,
        "Accounting for Variance in Machine Learning Benchmarks", MLSys 2021). With its
        Clopper-Pearson interval; None where ties make half counts, or with one seed.
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float
    better: int
    estimate: Estimate
    interval: Interval | None
    no_interval: str | None
    p: float | None
    p_sign_flip: float | None
    p_holm: float | None
    probability_better: float
    probability_interval: tuple[float, float] | None

    @property
    def n(self) -> int:
        """Seeds that both groups have."""
        return len(self.differences)

    def told_apart(self, confidence: float) -> bool:
        """Whether it is not zero: its interval excludes that, and so does p, corrected (Holm)."""
        return (
            self.interval is not None
            and self.interval.excludes_zero
            and self.p_holm is not None
            and self.p_holm <= 1 - confidence
        )


def compare_paired(
    group: Sequence[float],
    baseline: Sequence[float],
    seeds: Sequence[int],
    better: int,
    confidence: float = 0.95,
    images: Array | None = None,
) -> Paired:
    """Compares values [S] of a group with those [S] of the baseline, seed by seed.

    images: [S, I], the difference that each image makes, so that its mean over images is the
    difference of the values; None: over seeds alone.

    Raises ValueError when the lengths differ or are 0.
    """
    if not len(group) == len(baseline) == len(seeds) or not seeds:
        raise ValueError(f"{len(group)}, {len(baseline)} values for {len(seeds)} seeds")
    differences = np.asarray(group, float) - np.asarray(baseline, float)
    n = len(differences)
    estimate = seeds_alone(differences) if images is None else crossed(images)
    won = better * differences
    share = float(np.mean((won > 0) + 0.5 * (won == 0)))
    wins = share * n
    sign_flip = sign_flip_p(differences) if n > 1 else None
    p = estimate.p()
    return Paired(
        seeds=tuple(int(seed) for seed in seeds),
        differences=tuple(float(d) for d in differences),
        mean=float(np.mean(differences)),
        better=better,
        estimate=estimate,
        interval=estimate.interval(confidence),
        no_interval=_no_interval(estimate),
        # Without any spread a t of infinity would claim certainty, from two equal numbers even.
        p=sign_flip if p is None else p,
        p_sign_flip=sign_flip,
        p_holm=None,
        probability_better=share,
        probability_interval=(
            clopper_pearson(int(wins), n, confidence) if n > 1 and wins == int(wins) else None
        ),
    )


def _no_interval(estimate: Estimate) -> str | None:
    """Why it has none, if it has none."""
    if estimate.variance is not None:
        return None
    if estimate.images:
        return "the same on all images: no interval"
    if estimate.seeds == 1:
        return "one seed: no interval"
    return f"the same on all {estimate.seeds} seeds: no interval"


def sign_flip_p(differences: Array) -> float:
    """Two-sided p of the exact permutation test that flips the signs of paired differences.

    The share of sign patterns with a mean at least as far from zero as the one seen (Fisher, The
    Design of Experiments, 1935, section 21); drawn at random above EXACT_SIGN_FLIPS seeds, then
    counting the pattern seen among them, so that it is never 0.
    """
    n = len(differences)
    seen = abs(float(np.sum(differences)))
    if n <= EXACT_SIGN_FLIPS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=n)))
        extra = 0
    else:
        generator = np.random.Generator(np.random.PCG64(RESAMPLING_SEED))
        signs = generator.choice((1.0, -1.0), (RESAMPLES, n))
        extra = 1
    slack = 1e-12 * float(np.sum(np.abs(differences)))
    count = int(np.sum(np.abs(signs @ differences) >= seen - slack))
    return (count + extra) / (len(signs) + extra)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979); None stays None.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[index] = largest
    return corrected


def clopper_pearson(wins: int, n: int, confidence: float) -> tuple[float, float]:
    """The exact binomial interval of a share (Clopper and Pearson, Biometrika 26, 1934)."""
    tail = (1 - confidence) / 2
    low = 0.0 if wins == 0 else float(special.betaincinv(wins, n - wins + 1, tail))
    high = 1.0 if wins == n else float(special.betaincinv(wins + 1, n - wins, 1 - tail))
    return low, high
