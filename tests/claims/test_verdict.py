"""From an estimate to a verdict: exact numbers, margins, claims of several contrasts, Holm."""

import math

import numpy as np
import pytest
from scipy import stats

from gapfc.claims.claim import Contrast
from gapfc.claims.verdict import (
    EQUIVALENT,
    NOT_TESTABLE,
    OPPOSITE,
    SUPPORTED,
    UNDECIDED,
    Verdict,
    corrected,
    decide,
    in_unit,
    joined,
    toward,
)
from gapfc.compare.estimate import seeds_alone


def contrast(says="higher", unit="points"):
    return Contrast("c", ("m",), "gap", "fc", ("m",), says, unit)


def told(values, margin, says="higher", exact=False):
    return decide(seeds_alone(values), margin, contrast(says), exact, 0.95)


def around(mean, half, n=5):
    """n values whose 95% interval by Student is mean ± half."""
    x = np.arange(n) - (n - 1) / 2
    return mean + x / x.std(ddof=1) * half * math.sqrt(n) / stats.t.ppf(0.975, n - 1)


@pytest.mark.parametrize(
    ("mean", "half", "kind"),
    [
        (3.0, 0.9, SUPPORTED),
        (3.0, 1.1, UNDECIDED),
        (-3.0, 0.9, OPPOSITE),
        (-3.0, 1.1, UNDECIDED),
        (0.0, 2.4, EQUIVALENT),  # the 90% interval counts: 2.4 * 2.132 / 2.776 = 1.84
        (0.0, 2.7, UNDECIDED),
        (1.0, 1.2, EQUIVALENT),
        (1.0, 1.4, UNDECIDED),
    ],
)
def test_a_verdict_is_where_the_interval_lies(mean, half, kind):
    assert told(around(mean, half), 2.0).kind == kind


@pytest.mark.parametrize(
    ("mean", "half", "kind"),
    [
        (0.0, 1.9, SUPPORTED),
        (5.0, 6.9, SUPPORTED),
        (0.0, 2.1, UNDECIDED),
        (-4.0, 1.9, OPPOSITE),
        (-4.0, 2.1, UNDECIDED),
    ],
)
def test_kept_is_not_worse_by_the_margin(mean, half, kind):
    assert told(around(mean, half), 2.0, "kept").kind == kind


def test_p_is_that_of_the_margin():
    values = around(3.0, 0.9)
    assert told(values, 2.0).p == pytest.approx(stats.ttest_1samp(values, 2.0).pvalue)
    assert told(values, 2.0, "kept").p == pytest.approx(stats.ttest_1samp(values, -2.0).pvalue)
    inside = around(1.0, 0.5)
    upper = stats.ttest_1samp(inside, 2.0, alternative="less").pvalue
    assert told(inside, 2.0).p == pytest.approx(upper)


@pytest.mark.parametrize("says", ["higher", "kept"])
def test_an_undecided_one_says_what_would_decide(says):
    verdict = told(around(3.0 if says == "higher" else -1.0, 1.5), 2.0, says)
    assert verdict.kind == UNDECIDED
    assert verdict.why == "the interval reaches over the margin"
    assert (
        verdict.change
        == "about 9 seeds would decide it by its own interval, if mean and spread stay"
    )  # t(8) s / 3 < 1
    assert told(around(2.0001, 1.0), 2.0).change.startswith("neither more seeds nor more images")


@pytest.mark.parametrize(
    ("value", "says", "kind"),
    [
        (2.1, "higher", SUPPORTED),
        (2.0, "higher", EQUIVALENT),
        (-2.0, "lower", EQUIVALENT),
        (-2.1, "lower", OPPOSITE),
        (-2.1, "kept", OPPOSITE),
        (-1.9, "kept", SUPPORTED),
    ],
)
def test_an_exact_number_needs_no_seeds(value, says, kind):
    verdict = told([value], 2.0, says, exact=True)
    assert (verdict.kind, verdict.p) == (kind, None)


def test_without_any_spread_nothing_can_be_told_but_that_all_is_kept():
    assert told([3.0, 3.0, 3.0], 2.0).kind == NOT_TESTABLE
    assert told([0.0, 0.0, 0.0], 2.0, "kept").kind == SUPPORTED
    assert told([-3.0, -3.0, -3.0], 2.0, "kept").kind == OPPOSITE


def test_units_and_directions():
    assert in_unit(contrast(), 5) == pytest.approx(0.05)
    assert in_unit(contrast(unit="factor"), 1.2) == pytest.approx(math.log(1.2))
    assert [toward(contrast(says)) for says in ("higher", "lower", "kept")] == [1, -1, 1]


YES, NO = Verdict(SUPPORTED, p=0.01), Verdict(OPPOSITE, p=0.02)
SAME, OPEN = Verdict(EQUIVALENT, p=0.004), Verdict(UNDECIDED, "why", "change", 0.3)
NOT, EXACT = Verdict(NOT_TESTABLE, "few"), Verdict(SUPPORTED)


@pytest.mark.parametrize(
    ("verdicts", "kind", "p"),
    [
        ([YES], SUPPORTED, 0.01),
        ([YES, Verdict(SUPPORTED, p=0.03)], SUPPORTED, 0.03),
        ([EXACT, EXACT], SUPPORTED, None),
        ([EXACT, YES], SUPPORTED, 0.01),
        ([YES, NO], OPPOSITE, 0.04),
        ([NO, SAME, OPEN], EQUIVALENT, 0.012),
        ([NO, NOT], OPPOSITE, 0.02),
        ([Verdict(OPPOSITE), YES], OPPOSITE, None),
        ([Verdict(OPPOSITE, p=0.7), YES], OPPOSITE, 1.0),
        ([YES, NOT, OPEN], NOT_TESTABLE, None),
        ([YES, OPEN, Verdict(UNDECIDED, p=0.2)], UNDECIDED, 0.3),
    ],
)
def test_every_primary_contrast_has_to_hold(verdicts, kind, p):
    found = joined(verdicts)
    assert found.kind == kind
    assert found.p == (None if p is None else pytest.approx(p))


def test_verdicts_that_do_not_stand_once_corrected_are_undecided():
    verdicts = [Verdict(SUPPORTED, p=0.01), Verdict(OPPOSITE, p=0.03), OPEN, NOT, EXACT]
    found = corrected(verdicts)
    assert [each.kind for each in found] == [
        SUPPORTED, UNDECIDED, UNDECIDED, NOT_TESTABLE, SUPPORTED,
    ]  # fmt: skip
    # Holm: 3 × 0.01, 2 × 0.03, 1 × 0.3.
    assert [each.p_holm for each in found] == [
        pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.3), None, None,
    ]  # fmt: skip
    assert found[1].why == (
        "refuted: opposite by its own interval, but not once it is corrected for all contrasts and "
        "claims (p = 0.06)"
    )
    assert found[2].why == "why"
