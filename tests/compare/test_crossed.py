"""Seeds and images at once: by hand, by an analysis of variance of others, by planted truth."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from gapfc.compare.crossed import crossed, variance_of_mean
from gapfc.compare.estimate import seeds_alone

right_minus_right = arrays(
    np.int8, st.tuples(st.integers(2, 5), st.integers(2, 9)), elements=st.integers(-1, 1)
)


def test_two_seeds_and_three_images_by_hand():
    # Mean 1/3; seeds 2/3 and 0; images 1/2, 1, -1/2.
    found = crossed([[1, 1, 0], [0, 1, -1]])
    assert found.mean == pytest.approx(1 / 3)
    assert found.values == pytest.approx((2 / 3, 0))
    assert found.ms_seed == pytest.approx(3 * (1 / 9 + 1 / 9) / 1)
    assert found.ms_image == pytest.approx(2 * (1 / 36 + 16 / 36 + 25 / 36) / 2)
    # Total 10/3 = seeds 2/3 + images 7/3 + residual 1/3, which has 2 degrees of freedom.
    assert found.ms_residual == pytest.approx(1 / 6)
    variance = (2 / 3 + 7 / 6 - 1 / 6) / 6
    assert found.variance == pytest.approx(variance)
    df = variance**2 / ((2 / 3 / 6) ** 2 / 1 + (7 / 6 / 6) ** 2 / 2)
    assert found.df == pytest.approx(df)
    half = stats.t.ppf(0.975, df) * math.sqrt(variance)
    interval = found.interval()
    assert (interval.low, interval.high) == pytest.approx((1 / 3 - half, 1 / 3 + half))
    assert interval.method == "crossed"
    assert found.p() == pytest.approx(2 * stats.t.sf(1 / 3 / math.sqrt(variance), df))


def test_the_variance_is_never_below_that_of_seeds_or_images_alone():
    found = crossed([[1, -1], [-1, 1]])
    assert (found.ms_seed, found.ms_image, found.ms_residual) == (0, 0, 4)
    assert found.interval() is None
    found = crossed([[1, 0, 0, 0], [0, 1, 0, 0]])
    # Seeds 0, images 1/6, residual 1/2: the sum would be negative.
    assert found.variance == pytest.approx(found.ms_image / 8)
    assert found.df == pytest.approx(3)


@pytest.mark.parametrize("shape", [(2, 3), (3, 20), (5, 7)])
def test_mean_squares_are_those_of_an_analysis_of_variance(shape):
    d = np.random.default_rng(sum(shape)).integers(-1, 2, shape).astype(float)
    seed, image = np.indices(shape)
    table = pd.DataFrame({"d": d.ravel(), "seed": seed.ravel(), "image": image.ravel()})
    squares = anova_lm(ols("d ~ C(seed) + C(image)", table).fit()).mean_sq
    found = crossed(d)
    assert found.ms_seed == pytest.approx(squares["C(seed)"])
    assert found.ms_image == pytest.approx(squares["C(image)"])
    assert found.ms_residual == pytest.approx(squares["Residual"])


def test_one_seed_is_the_paired_test_over_images():
    d = np.random.default_rng(1).integers(-1, 2, 40)
    found, reference = crossed(d[None]), stats.ttest_1samp(d, 0)
    assert found.p() == pytest.approx(reference.pvalue)
    interval = found.interval(0.9)
    assert (interval.low, interval.high) == pytest.approx(reference.confidence_interval(0.9))
    assert (interval.method, found.df) == ("images", 39)


def test_nothing_that_spreads_has_no_interval():
    for d in (np.zeros((3, 50)), np.ones((1, 2))):
        found = crossed(d)
        assert (found.variance, found.interval(), found.p(), found.p_inside(1)) == (None,) * 4


@pytest.mark.parametrize("shape", [(0, 3), (2, 1), (3,), (2, 2, 2)])
def test_shapes_that_say_nothing_are_refused(shape):
    with pytest.raises(ValueError, match=r"instead of \[S, I\]"):
        crossed(np.zeros(shape))


def ends(d):
    interval = crossed(d).interval()
    return None if interval is None else (interval.low, interval.high)


@given(right_minus_right, st.floats(-2, 2), st.randoms(use_true_random=False))
def test_what_the_interval_follows_and_what_it_does_not(d, shift, random):
    d = d.astype(float)
    found = ends(d)
    seeds, images = list(range(d.shape[0])), list(range(d.shape[1]))
    random.shuffle(seeds)
    random.shuffle(images)
    moved, mirrored, shuffled = ends(d + shift), ends(-d), ends(d[seeds][:, images])
    if found is None:
        assert moved is mirrored is shuffled is None
        return
    low, high = found
    assert moved == pytest.approx((low + shift, high + shift), abs=1e-9)
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)
    assert shuffled == pytest.approx((low, high), abs=1e-9)


@given(right_minus_right)
def test_the_standard_error_is_never_below_that_of_one_way(d):
    found = crossed(d)
    if found.variance is None:
        return
    seeds, images = d.mean(axis=1), d.mean(axis=0)
    assert found.variance >= seeds.var(ddof=1) / len(seeds) - 1e-12
    assert found.variance >= images.var(ddof=1) / len(images) - 1e-12
    assert found.df > 0


def test_seeds_alone_is_students_interval():
    found, reference = seeds_alone([0.01, 0.03, 0.02]), stats.ttest_1samp([0.01, 0.03, 0.02], 0)
    assert found.p() == pytest.approx(reference.pvalue)
    interval = found.interval()
    assert (interval.low, interval.high) == pytest.approx(reference.confidence_interval(0.95))
    assert interval.method == "t"
    assert seeds_alone([0.4]).interval() is None


def planted(generator, seeds, images):
    """d [S, I] with a true mean of 0: heads that differ for good on 3% of the images, either way.

    Beside that each seed errs by itself on 2% of them, and is a little better or worse on all.
    """
    d = np.zeros((seeds, images))
    for seed in range(seeds):
        luck = generator.normal(0, 0.3 / np.sqrt(images))
        change = generator.random(images)
        d[seed] += change < 0.01 + max(luck, 0)
        d[seed] -= change > 1 - 0.01 - max(-luck, 0)
    draw = generator.random(images)
    d[:, draw < 0.015] = 1
    d[:, draw > 0.985] = -1
    return d


@pytest.mark.parametrize(("seeds", "holds"), [(2, 0.87), (3, 0.92), (5, 0.94)])
def test_coverage_where_most_of_the_spread_is_between_seeds(seeds, holds):
    # Standard errors: three times as large over seeds as over images.
    generator, draws, images = np.random.default_rng(seeds), 50_000, 1000
    of_seeds = generator.normal(0, 3 * np.sqrt(seeds), (draws, seeds))
    mean = of_seeds.mean(axis=1) + generator.normal(0, 1, draws)
    ms_seed = images * of_seeds.var(axis=1, ddof=1)
    ms_image = seeds * images * generator.chisquare(images - 1, draws) / (images - 1)
    variance, df = variance_of_mean(ms_seed, ms_image, 0, seeds, images)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    assert np.mean(np.abs(mean) <= half) == pytest.approx(holds, abs=0.008)


@pytest.mark.slow
@pytest.mark.parametrize("images", [359, 1000, 2000])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_coverage_for_new_seeds_and_new_images(seeds, images):
    generator = np.random.default_rng([seeds, images])
    both = alone = 0
    for _ in range(2000):
        d = planted(generator, seeds, images)
        interval, of_seeds = crossed(d).interval(), seeds_alone(d.mean(axis=1)).interval()
        both += interval is not None and interval.low <= 0 <= interval.high
        alone += of_seeds is not None and of_seeds.low <= 0 <= of_seeds.high
    print(f"{seeds} seeds, {images} images: crossed {both / 2000:.3f}, seeds {alone / 2000:.3f}")
    assert both / 2000 >= 0.93
    assert alone / 2000 < {3: 0.93, 5: 0.88, 10: 0.77}[seeds]
