"""An estimated mean with what its uncertainty is made of, and the interval that follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import special

BOOTSTRAP_FROM = 10
RESAMPLES = 10_000
RESAMPLING_SEED = 20_150_101  # fixed: the same runs give the same interval

Array = NDArray[np.float64]

# What an interval covers, by its method.
COVERS = {
    "crossed": "over seeds and test images",
    "images": "over test images, for this one seed",
    "wilson": "over test images, for this one seed",
    "t": "over seeds, on these test images",
    "bootstrap": "over seeds, on these test images",
}


# Final, so that mypy knows `pair and pair.p` to be None or a number.
@final
@dataclass(frozen=True)
class Interval:
    """A confidence interval; `method` is a key of COVERS."""

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
class Estimate:
    """The mean of d over S seeds and I images, or over S seeds alone, in the metric's own unit.

    values: d averaged over images, of each seed, [S].
    images: I; 0 where images are not known.
    ms_seed, ms_image, ms_residual: mean squares of the two-way layout (gapfc.compare.crossed).
        Seeds alone: ms_seed is the variance of `values`, the others 0. One seed: ms_image is the
        variance of d over images, the others 0.
    variance: of the mean; None where nothing spreads, or where there is but one value.
    df: the degrees of freedom of `variance`; None with it.
    """

    mean: float
    values: tuple[float, ...]
    images: int
    ms_seed: float
    ms_image: float
    ms_residual: float
    variance: float | None
    df: float | None

    @property
    def seeds(self) -> int:
        """S."""
        return len(self.values)

    @property
    def method(self) -> str:
        """How its interval is found: a key of COVERS."""
        if self.images:
            return "crossed" if self.seeds > 1 else "images"
        return "bootstrap" if self.seeds >= BOOTSTRAP_FROM else "t"

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Of the mean; None without a variance."""
        if self.method == "bootstrap" and self.variance is not None:
            return bootstrap_interval(np.asarray(self.values), confidence)
        return self.student(confidence)

    def student(self, confidence: float) -> Interval | None:
        """By Student's t, whatever the number of seeds; None without a variance."""
        if self.variance is None or self.df is None:
            return None
        half = float(special.stdtrit(self.df, 0.5 + confidence / 2)) * math.sqrt(self.variance)
        method = self.method if self.images else "t"
        return Interval(self.mean - half, self.mean + half, method)

    def p(self, null: float = 0.0) -> float | None:
        """Two-sided p of a mean of `null`, by Student's t; None without a variance."""
        if self.variance is None or self.df is None:
            return None
        t = (self.mean - null) / math.sqrt(self.variance)
        return float(2 * special.stdtr(self.df, -abs(t)))

    def p_inside(self, margin: float) -> float | None:
        """p of the two one-sided tests: at most alpha if the mean is within ±margin.

        The larger of both (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
        None without a variance.
        """
        if self.variance is None or self.df is None:
            return None
        t = (margin - abs(self.mean)) / math.sqrt(self.variance)
        return float(special.stdtr(self.df, -t))


def seeds_alone(values: Sequence[float] | Array) -> Estimate:
    """The mean of `values` [S], one per seed, over seeds alone. Raises ValueError for none."""
    x = np.asarray(values, float)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"values of shape {x.shape} instead of [S], S at least 1")
    known = len(x) > 1 and not constant(x)
    square = float(np.var(x, ddof=1)) if known else 0.0
    return Estimate(
        mean=float(np.mean(x)),
        values=tuple(x.tolist()),
        images=0,
        ms_seed=square,
        ms_image=0.0,
        ms_residual=0.0,
        variance=square / len(x) if known else None,
        df=float(len(x) - 1) if known else None,
    )


def mean_and_band(
    values: Sequence[Sequence[float] | Array], confidence: float, within: tuple[float, float]
) -> tuple[Array, Array, Array]:
    """The mean over seeds of values [points][seeds], and the ends of its interval; each [points].

    The interval is Student's, cut to `within`, what the measure can be. Where there is none, as
    with one seed, both ends are the mean.
    """
    means = np.array([np.mean(at) for at in values])
    intervals = [seeds_alone(at).student(confidence) for at in values]
    ends = [(i.low, i.high) if i else (m, m) for i, m in zip(intervals, means, strict=True)]
    low, high = np.clip(ends, *within).T
    return means, low, high


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


def constant(x: NDArray[Any]) -> bool:
    """Whether there is no spread beyond the rounding of the subtraction."""
    return bool(np.ptp(x) <= 1e-12 * max(1.0, float(np.max(np.abs(x)))))
