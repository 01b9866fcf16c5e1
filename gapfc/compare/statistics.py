"""Paired comparison of two groups of runs over the seeds they share.

Which interval. A run costs minutes to days, so there are only 2 to 5 seeds, and then a percentile
or BCa bootstrap of the mean is wrong: no resampled mean leaves the range of the n differences, and
for a symmetric distribution that range misses the centre with probability 2^(1-n). No such
interval can reach 95% below 6 seeds (75% for 3, 93.75% for 5), and the percentile interval is
narrower still, by sqrt((n-1)/n) and by using z for t (Hesterberg, "What Teachers Should Know About
the Bootstrap", The American Statistician 69(4), 2015). So below `BOOTSTRAP_FROM` seeds the interval
is Student's, exact for normal differences; from there on it is Hesterberg's *expanded* percentile
bootstrap, which corrects both and follows skewness.

Measured by the slow test `test_coverage_of_the_intervals`, share of 1,500 samples whose 95%
interval holds the true mean, ours and (plain percentile bootstrap):

    n            2              3              5              10
    normal       0.95 (0.50)    0.95 (0.75)    0.96 (0.84)    0.94 (0.91)
    t, 4 df                     0.96 (0.76)    0.96 (0.82)    0.94 (0.90)
    uniform                     0.92 (0.74)    0.94 (0.85)    0.95 (0.90)
    exponential                 0.88 (0.68)    0.88 (0.77)    0.91 (0.86)

What an interval covers: the spread over seeds (initial weights, order, augmentation, dropout), on
this test set. It does not cover which images the test set happens to hold.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import special

BOOTSTRAP_FROM = 10
RESAMPLES = 10_000
RESAMPLING_SEED = 20_150_101  # fixed: the same runs give the same interval
EXACT_SIGN_FLIPS = 12  # 2^12 sign patterns are enumerated; above that, RESAMPLES of them are drawn

Array = NDArray[np.float64]


# Final, so that mypy knows `pair and pair.p` to be None or a number.
@final
@dataclass(frozen=True)
class Interval:
    """A confidence interval; `method` is "t" or "bootstrap"."""

    low: float
    high: float
    method: str

    @property
    def half(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether it lies entirely on one side of zero."""
        return self.low > 0 or self.high < 0


@final
@dataclass(frozen=True)
class Paired:
    """Group minus baseline over the shared seeds, in the metric's own unit.

    better: +1 where larger is better, -1 where smaller is.
    interval: None with the reason in `no_interval` ("one seed: no interval", …).
    p: two-sided, of the paired t test; None with one seed. `p_sign_flip` assumes only that a
        difference is as likely as its negative, and cannot go below 2^(1-n).
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


def compare_paired(
    group: Sequence[float],
    baseline: Sequence[float],
    seeds: Sequence[int],
    better: int,
    confidence: float = 0.95,
    method: str = "auto",
) -> Paired:
    """Compares values [n] of a group with those [n] of the baseline, seed by seed.

    method: "t", "bootstrap", or "auto" (t below BOOTSTRAP_FROM seeds, else bootstrap).

    Raises ValueError when the lengths differ or are 0.
    """
    if not len(group) == len(baseline) == len(seeds) or not seeds:
        raise ValueError(f"{len(group)}, {len(baseline)} values for {len(seeds)} seeds")
    differences = np.asarray(group, float) - np.asarray(baseline, float)
    n = len(differences)
    found, reason = mean_interval(differences, confidence, method)
    won = better * differences
    share = float(np.mean((won > 0) + 0.5 * (won == 0)))
    wins = share * n
    return Paired(
        seeds=tuple(int(seed) for seed in seeds),
        differences=tuple(float(d) for d in differences),
        mean=float(np.mean(differences)),
        better=better,
        interval=found,
        no_interval=reason,
        p=paired_p(differences),
        p_sign_flip=sign_flip_p(differences) if n > 1 else None,
        p_holm=None,
        probability_better=share,
        probability_interval=(
            clopper_pearson(int(wins), n, confidence) if n > 1 and wins == int(wins) else None
        ),
    )


def mean_interval(
    values: Sequence[float] | Array, confidence: float = 0.95, method: str = "auto"
) -> tuple[Interval | None, str | None]:
    """The confidence interval of the mean of `values` [n], or None and the reason why not."""
    x = np.asarray(values, float)
    if len(x) == 0:
        return None, "no value"
    if len(x) == 1:
        return None, "one seed: no interval"
    if _constant(x):
        return None, f"the same on all {len(x)} seeds: no interval"
    if method == "bootstrap" or (method == "auto" and len(x) >= BOOTSTRAP_FROM):
        return bootstrap_interval(x, confidence), None
    return student_interval(x, confidence), None


def student_interval(x: Array, confidence: float) -> Interval:
    """mean ± t(n-1) s / sqrt(n)."""
    n = len(x)
    t = float(special.stdtrit(n - 1, 0.5 + confidence / 2))
    half = t * float(np.std(x, ddof=1)) / math.sqrt(n)
    mean = float(np.mean(x))
    return Interval(mean - half, mean + half, "t")


def bootstrap_interval(x: Array, confidence: float) -> Interval:
    """Hesterberg's expanded percentile interval of the mean (2015).

    The percentiles are taken at a' = Phi(-sqrt(n/(n-1)) t(n-1)) instead of a = (1-confidence)/2,
    which makes it as wide as Student's for symmetric data.
    """
    n = len(x)
    t = float(special.stdtrit(n - 1, 0.5 + confidence / 2))
    tail = float(special.ndtr(-math.sqrt(n / (n - 1)) * t))
    generator = np.random.Generator(np.random.PCG64(RESAMPLING_SEED))
    means = x[generator.integers(0, n, (RESAMPLES, n))].mean(axis=1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high), "bootstrap")


def paired_p(differences: Array) -> float | None:
    """Two-sided p of the paired t test of a zero mean difference [n]; None for n = 1.

    Differences that are all equal have no spread to test against: then the sign-flip p, as a t
    of infinity would claim certainty from two equal numbers.
    """
    n = len(differences)
    if n < 2:
        return None
    if _constant(differences):
        return sign_flip_p(differences)
    t = np.mean(differences) / (np.std(differences, ddof=1) / math.sqrt(n))
    return float(2 * special.stdtr(n - 1, -abs(t)))


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


def _constant(x: Array) -> bool:
    """Whether there is no spread beyond the rounding of the subtraction."""
    return bool(np.ptp(x) <= 1e-12 * max(1.0, float(np.max(np.abs(x)))))
