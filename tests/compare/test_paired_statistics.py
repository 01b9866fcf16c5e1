"""Statistics against scipy, exhaustive enumeration and numbers done by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gapfc.compare import estimate, statistics

FC = [0.951, 0.948, 0.956, 0.950, 0.953]
GAP = [0.962, 0.955, 0.961, 0.963, 0.958]
SEEDS = [0, 1, 2, 3, 4]
finite = st.floats(-1, 1, allow_nan=False, width=32)


def paired(group, baseline, **options):
    return statistics.compare_paired(group, baseline, list(range(len(group))), **options)


def test_paired_t_equals_scipys():
    found = paired(GAP, FC, better=1)
    reference = stats.ttest_rel(GAP, FC)
    low, high = reference.confidence_interval(0.95)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-9)
    assert found.interval.method == "t"
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=1e-9)
    assert found.mean == pytest.approx(np.mean(GAP) - np.mean(FC))


def test_t_interval_of_two_seeds_by_hand():
    # mean 2, s = sqrt(2), s/sqrt(2) = 1, t(1) at 97.5% = tan(0.475 pi) = 12.706
    interval = estimate.seeds_alone([1.0, 3.0]).interval()
    assert interval.high - 2 == pytest.approx(math.tan(0.475 * math.pi), rel=1e-6)
    assert interval.low == pytest.approx(2 - math.tan(0.475 * math.pi), rel=1e-6)


def test_one_seed_has_a_difference_and_no_interval():
    found = paired([0.97], [0.96], better=1)
    assert found.mean == pytest.approx(0.01)
    assert found.interval is None
    assert found.p is None
    assert found.p_sign_flip is None
    assert found.no_interval == "one seed: no interval"


def test_equal_differences_claim_no_certainty():
    found = paired([0.98, 0.97], [0.97, 0.96], better=1)
    assert found.interval is None
    assert "the same on all 2 seeds" in found.no_interval
    assert found.p == 0.5  # what two signs can say, where t would be infinite


def test_no_difference_at_all():
    found = paired([0.9, 0.8, 0.7], [0.9, 0.8, 0.7], better=1)
    assert (found.mean, found.p, found.probability_better) == (0, 1, 0.5)


@given(st.lists(finite, min_size=2, max_size=8))
def test_sign_flip_equals_scipys_exact_permutation_test(differences):
    x = np.asarray(differences, float)
    seen = abs(sum(differences))
    every = [abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
             for signs in itertools.product((1, -1), repeat=len(differences))]  # fmt: skip
    slack = 1e-12 * float(np.abs(x).sum())
    expected = np.mean([total >= seen - slack for total in every])
    assert statistics.sign_flip_p(x) == pytest.approx(expected)


def test_sign_flip_cannot_fall_below_its_floor_and_equals_scipy():
    differences = np.array(GAP) - np.array(FC)
    assert statistics.sign_flip_p(differences) == 2 / 2**5
    reference = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert statistics.sign_flip_p(differences) == pytest.approx(reference.pvalue)


def test_sampled_sign_flips_agree_with_the_exact_ones(monkeypatch):
    x = np.random.default_rng(3).normal(0.4, 1, 12)
    exact = statistics.sign_flip_p(x)
    monkeypatch.setattr(statistics, "EXACT_SIGN_FLIPS", 11)
    assert statistics.sign_flip_p(x) == pytest.approx(exact, abs=0.02)


def test_holm_by_hand():
    # sorted 0.01, 0.03, 0.04: times 3, 2, 1 -> 0.03, 0.06, 0.04 -> never falling: 0.06, 0.06
    assert statistics.holm([0.01, 0.04, None, 0.03]) == [0.03, 0.06, None, 0.06]
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_lies_between_the_p_and_bonferroni(p):
    corrected = statistics.holm(p)
    for raw, after in zip(p, corrected, strict=True):
        assert raw <= after <= min(1, len(p) * raw) + 1e-12
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff([corrected[i] for i in order]) >= 0)


def test_clopper_pearson_equals_scipys():
    for wins, n in ((0, 5), (3, 5), (5, 5), (7, 20)):
        reference = stats.binomtest(wins, n).proportion_ci(0.9, "exact")
        found = statistics.clopper_pearson(wins, n, 0.9)
        assert found == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_probability_better_counts_seeds_and_half_of_ties():
    assert paired([2, 2, 2, 0], [1, 1, 2, 1], better=1).probability_better == 0.625
    assert paired([2, 2, 2, 0], [1, 1, 2, 1], better=-1).probability_better == 0.375
    assert paired([2, 2, 2, 0], [1, 1, 2, 1], better=1).probability_interval is None


def test_bootstrap_is_repeatable_and_as_wide_as_student_for_symmetric_data():
    x = stats.norm.ppf((np.arange(12) + 0.5) / 12)
    boot = estimate.bootstrap_interval(x, 0.95)
    assert boot == estimate.bootstrap_interval(x, 0.95)
    student = estimate.seeds_alone(x).student(0.95)
    assert boot.high - boot.low == pytest.approx(student.high - student.low, rel=0.05)


def test_bootstrap_agrees_with_scipys_at_the_same_percentiles():
    x = np.random.default_rng(5).exponential(1, 30)
    n = len(x)
    tail = stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    reference = stats.bootstrap(
        (x,), np.mean, confidence_level=1 - 2 * tail, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    found = estimate.bootstrap_interval(x, 0.95)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.03)


def test_the_method_follows_the_number_of_seeds():
    x = list(np.random.default_rng(0).normal(size=estimate.BOOTSTRAP_FROM))
    assert estimate.seeds_alone(x).interval().method == "bootstrap"
    assert estimate.seeds_alone(x[:-1]).interval().method == "t"
    assert estimate.seeds_alone(x).student(0.95).method == "t"


@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=6), finite)
def test_a_shift_common_to_both_changes_nothing(pairs, shift):
    a, b = (np.array(side, float) for side in zip(*pairs, strict=True))
    plain, moved = paired(a, b, better=1), paired(a + shift, b + shift, better=1)
    assert moved.mean == pytest.approx(plain.mean, abs=1e-9)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2, 1 values"):
        statistics.compare_paired([1, 2], [1], [0, 1], 1)


DRAWS = {
    "normal": lambda g, shape: g.normal(size=shape),
    "uniform": lambda g, shape: g.uniform(-1, 1, shape),
    "heavy tails": lambda g, shape: g.standard_t(4, shape),
    "skewed": lambda g, shape: g.exponential(1, shape) - 1,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "n", "least"),
    [
        ("normal", 2, 0.94), ("normal", 3, 0.94), ("normal", 5, 0.94), ("normal", 10, 0.93),
        ("uniform", 3, 0.90), ("uniform", 5, 0.92), ("uniform", 10, 0.93),
        ("heavy tails", 3, 0.94), ("heavy tails", 5, 0.94), ("heavy tails", 10, 0.93),
        ("skewed", 3, 0.84), ("skewed", 5, 0.86), ("skewed", 10, 0.89),
    ],
)  # fmt: skip
def test_coverage_of_intervals_over_seeds(shape, n, least, monkeypatch):
    """How often a 95% interval holds the true mean difference, 0, and a plain bootstrap does."""
    monkeypatch.setattr(estimate, "RESAMPLES", 1000)
    samples = DRAWS[shape](np.random.default_rng(n), (1500, n))
    held = percentile = 0
    generator = np.random.default_rng(0)
    for x in samples:
        interval = estimate.seeds_alone(x).interval()
        held += interval.low <= 0 <= interval.high
        means = x[generator.integers(0, n, (1000, n))].mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        percentile += low <= 0 <= high
    print(f"{shape} n={n}: ours {held / 1500:.3f}, percentile bootstrap {percentile / 1500:.3f}")
    assert held / 1500 >= least
    if n <= 5:  # the reason why small samples get no bootstrap
        assert percentile < held
        assert percentile / 1500 < 0.91
