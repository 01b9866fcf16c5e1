"""Verdicts by a margin: against statsmodels' two one-sided tests, by hand, by planted truth."""

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired
from test_crossed import planted

from gapfc.compare.crossed import crossed
from gapfc.compare.equivalence import judge
from gapfc.compare.estimate import seeds_alone


@pytest.mark.parametrize("shift", [0.0, 0.004, 0.02])
@pytest.mark.parametrize("seeds", [2, 5, 9])
def test_two_one_sided_tests_equal_statsmodels(seeds, shift):
    generator = np.random.default_rng(seeds)
    a, b = generator.normal(0.9 + shift, 0.004, seeds), generator.normal(0.9, 0.004, seeds)
    estimate = seeds_alone(a - b)
    p, *_ = ttost_paired(a, b, -0.01, 0.01)
    assert estimate.p_inside(0.01) == pytest.approx(p, rel=1e-9)
    assert (judge(estimate, 0.01).kind == "inside") == (p < 0.05)


def test_the_four_kinds_by_hand():
    # Mean 2, error 1/sqrt(3)·1 = 0.577, t(2) 4.303 at 95% and 2.920 at 90%: ± 2.484, ± 1.686.
    estimate = seeds_alone([1.0, 2.0, 3.0])
    assert judge(estimate, 3.7).kind == "inside"
    assert judge(estimate, 3.68).kind == "undecided"
    assert judge(estimate, 0).kind == "undecided"
    far = seeds_alone([5.0, 6.0, 7.0])
    assert judge(far, 3.5).kind == "above"
    assert judge(far, 3.53).kind == "undecided"
    assert judge(seeds_alone([-5.0, -6.0, -7.0]), 3.5).kind == "below"
    assert judge(far, 3.5).p < 0.05 < judge(far, 3.53).p


def test_the_seeds_that_would_decide_by_hand():
    # Variance 1 a seed, mean 2 against a margin of 1: t(S - 1)/sqrt(S) < 1 first at S = 7
    # (2.447/2.646 = 0.92; at 6 2.571/2.449 = 1.05).
    assert judge(seeds_alone([1.0, 2.0, 3.0]), 1).needs_seeds == 7
    # Against 3, inside: t at 90%, 2.015/2.449 = 0.82 at 6, 2.132/2.236 = 0.95 at 5.
    assert judge(seeds_alone([1.0, 2.0, 3.0]), 3).needs_seeds == 5


def test_where_images_dominate_no_number_of_seeds_decides():
    d = np.zeros((3, 400))
    d[:, :12], d[:, 12:16] = 1, -1  # all seeds agree: a mean of 2 points, an error of 1
    d[0, 20] = 1
    found = judge(crossed(d), 0.01)
    assert (found.kind, found.needs_seeds) == ("undecided", None)
    # The error goes with 1/sqrt(I): 1.96 errors must fit into the mean minus the margin.
    estimate = crossed(d)
    needed = 400 * estimate.variance * (1.96 / (estimate.mean - 0.01)) ** 2
    assert found.needs_images == pytest.approx(needed, rel=0.02)


def test_without_an_interval_nothing_is_decided():
    for estimate in (seeds_alone([0.1]), seeds_alone([0.1, 0.1]), crossed(np.zeros((2, 9)))):
        found = judge(estimate, 1.0)
        assert (found.kind, found.p, found.needs_seeds) == ("undecided", None, None)


def test_a_mean_at_the_margin_is_never_decided():
    found = judge(seeds_alone([0.0, 1.0, 2.0]), 1.0)
    assert (found.kind, found.needs_seeds, found.needs_images) == ("undecided", None, None)


@pytest.mark.parametrize(("margin", "confidence"), [(-1, 0.95), (float("nan"), 0.95), (1, 0.5)])
def test_what_judge_refuses(margin, confidence):
    with pytest.raises(ValueError, match="instead of"):
        judge(seeds_alone([0.0, 1.0]), margin, confidence)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_errors_of_verdicts_on_planted_truth(seeds):
    """At a true mean of 0 and a margin of 0: no "above" or "below"; at the margin: no "inside"."""
    generator = np.random.default_rng(seeds)
    told = inside = 0
    for _ in range(4000):
        estimate = crossed(planted(generator, seeds, 1000))
        told += judge(estimate, 0).kind != "undecided"
        # The same with a true mean of 3 points, which is the margin.
        shifted = crossed(planted(generator, seeds, 1000) + 0.03)
        inside += judge(shifted, 0.03).kind == "inside"
    print(f"{seeds} seeds: told apart {told / 4000:.3f}, inside at the margin {inside / 4000:.3f}")
    # Three standard errors of 4,000 draws are 0.01.
    assert told / 4000 <= 0.062
    assert inside / 4000 <= 0.062
