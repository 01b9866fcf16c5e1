"""Seeds and test images at once: how sure a mean is for new seeds *and* new images.

d[s, i] is what seed s and image i say, for two heads right_A - right_B of the runs of one seed.
Every seed sees every image: a two-way layout without replication, both ways random,

    d[s, i] = mean + a[s] + b[i] + e[s, i]

whose mean has the variance (MS_seed + MS_image - MS_residual) / (S I) (Searle, Casella and
McCulloch, Variance Components, 1992, ch. 4), here never below either of the one-way variances
MS_seed / (S I), MS_image / (S I). Its degrees of freedom are Satterthwaite's (Biometrics Bulletin
2, 1946), of the two mean squares that carry it.

Seeds alone do not say how sure a difference is: where two heads differ for good on some of the
images, all seeds agree on what this test set happens to hold. Measured by the slow test
`test_coverage_for_new_seeds_and_new_images`, share of 2,000 draws whose 95% interval holds the true
difference where heads differ for good on 3% of the images, crossed and (seeds alone):

    images    3 seeds         5 seeds         10 seeds
    359       0.95 (0.92)     0.96 (0.86)     0.96 (0.72)
    1,000     0.95 (0.92)     0.94 (0.84)     0.94 (0.71)
    2,000     0.95 (0.92)     0.95 (0.85)     0.95 (0.72)

It is too narrow where there is little of what matters: 0.87 with two seeds, 0.92 with three and
0.94 with five if the standard error over seeds is three times that over images, which is about the
worst (test_coverage_where_most_of_the_spread_is_between_seeds); 0.93 if all that differs are ten
images, and all one way. With few seeds it may be narrower than Student's over seeds alone,
which has only S - 1 degrees of freedom; its variance never is smaller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gapfc.compare.estimate import Array, Estimate, constant


def crossed(d: ArrayLike) -> Estimate:
    """The mean of `d` [S, I] over seeds and images; over images alone if S = 1.

    No variance where nothing spreads. Raises ValueError unless S >= 1 and I >= 2.
    """
    x = np.asarray(d, float)
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 2:
        raise ValueError(f"d of shape {x.shape} instead of [S, I], S at least 1 and I at least 2")
    seeds, images = x.shape
    mean, by_seed, by_image = float(x.mean()), x.mean(axis=1), x.mean(axis=0)
    ms_seed = ms_residual = 0.0
    ms_image = seeds * float(np.sum((by_image - mean) ** 2)) / (images - 1)
    if seeds > 1:
        ms_seed = images * float(np.sum((by_seed - mean) ** 2)) / (seeds - 1)
        residual = x - by_seed[:, None] - by_image[None, :] + mean
        ms_residual = float(np.sum(residual**2)) / ((seeds - 1) * (images - 1))
    variance, df = variance_of_mean(ms_seed, ms_image, ms_residual, seeds, images)
    # Nothing but rounding where d is constant, or all its means over seeds and over images are.
    known = not (constant(x) or (constant(by_seed) and constant(by_image)))
    return Estimate(
        mean=mean,
        values=tuple(by_seed.tolist()),
        images=images,
        ms_seed=ms_seed,
        ms_image=ms_image,
        ms_residual=ms_residual,
        variance=float(variance) if known else None,
        df=float(df) if known else None,
    )


def variance_of_mean(
    ms_seed: ArrayLike, ms_image: ArrayLike, ms_residual: ArrayLike, seeds: ArrayLike,
    images: ArrayLike,
) -> tuple[Array, Array]:  # fmt: skip
    """The variance of the mean and its degrees of freedom, by mean squares; all broadcast.

    seeds, images: S and I, at least 1. What there is one of adds nothing.
    """
    s, i = np.asarray(seeds, float), np.asarray(images, float)
    by_seed, by_image = np.asarray(ms_seed) / (s * i), np.asarray(ms_image) / (s * i)
    both = by_seed + by_image - np.asarray(ms_residual) / (s * i)
    variance = np.maximum(both, np.maximum(by_seed, by_image))
    spread: NDArray[np.float64] = by_seed**2 / np.maximum(s - 1, 1) + by_image**2 / np.maximum(
        i - 1, 1
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return variance, np.where(spread > 0, variance**2 / spread, 0.0)
