"""Convergence of curves whose answer is known."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapfc.measure.convergence import area_under_curve, convergence, target_key

NEVER = {"epochs": None, "steps": None, "seconds": None}


def test_interpolates_between_epochs():
    got = convergence([100, 200, 300], [1.0, 3.0, 5.0], [0.2, 0.6, 0.7], [0.5, 0.65])
    # 0.5 is three quarters of the way from 0.2 to 0.6; 0.65 half of that from 0.6 to 0.7.
    assert got["to_accuracy"]["0.50"] == pytest.approx(
        {"epochs": 1.75, "steps": 175, "seconds": 2.5}
    )
    assert got["to_accuracy"]["0.65"] == pytest.approx({"epochs": 2.5, "steps": 250, "seconds": 4})
    # 0.95 of the best is 0.665: 0.65 of the way from 0.6 to 0.7.
    assert got["to_fraction_of_best"]["0.95"]["epochs"] == pytest.approx(2.65)
    assert got["area_under_curve"] == pytest.approx((0.4 + 0.65) / 2)


def test_already_there_at_the_first_epoch():
    got = convergence([10, 20], [1.0, 2.0], [0.9, 0.95], [0.5])
    assert got["to_accuracy"] == {"0.50": {"epochs": 1, "steps": 10, "seconds": 1}}


def test_never_reached_is_null_in_every_unit():
    got = convergence([10, 20], [1.0, 2.0], [0.1, 0.2], [0.9])
    assert got["to_accuracy"] == {"0.90": NEVER}


def test_first_crossing_counts_also_when_the_curve_falls_again():
    got = convergence([1, 2, 3], [1, 2, 3], [0.0, 0.8, 0.4], [0.4])
    assert got["to_accuracy"]["0.40"]["epochs"] == pytest.approx(1.5)


def test_exactly_the_target_and_a_flat_curve():
    got = convergence([1, 2, 3], [1, 2, 3], [0.4, 0.4, 0.5], [0.4, 0.5])
    assert got["to_accuracy"]["0.40"]["epochs"] == 1
    assert got["to_accuracy"]["0.50"]["epochs"] == 3


def test_a_lost_epoch_is_not_interpolated_over():
    got = convergence([1, 2, 3], [1, 2, 3], [0.1, float("nan"), 0.9], [0.5])
    assert got["to_accuracy"]["0.50"]["epochs"] == 3
    assert got["to_fraction_of_best"]["0.95"]["epochs"] == 3


def test_one_epoch_and_none():
    assert area_under_curve([0.7]) == 0.7
    empty = convergence([], [], [], [0.5])
    assert empty["area_under_curve"] is None
    assert empty["to_accuracy"] == {"0.50": NEVER}
    assert empty["to_fraction_of_best"]["0.95"] == NEVER
    json.dumps(empty, allow_nan=False)


def test_keys():
    assert [target_key(t) for t in (0.5, 0.9, 0.995, 1)] == ["0.50", "0.90", "0.995", "1.00"]


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one value per epoch"):
        convergence([1], [1.0], [0.1, 0.2], [0.5])


curves = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(curves, st.floats(0.01, 1))
def test_the_curve_has_the_target_where_it_says(curve, target):
    n = len(curve)
    got = convergence(
        [10 * e for e in range(1, n + 1)], [2.0 * e for e in range(1, n + 1)], curve, [target]
    )["to_accuracy"][target_key(target)]
    if max(curve) < target:
        assert got == NEVER
        return
    epoch = got["epochs"]
    assert 1 <= epoch <= n
    assert got["steps"] == pytest.approx(10 * epoch)
    assert got["seconds"] == pytest.approx(2 * epoch)
    assert all(a < target for e, a in enumerate(curve, 1) if e < epoch - 1e-9)
    if epoch > 1:
        before = min(int(epoch), n - 1)
        height = curve[before - 1] + (epoch - before) * (curve[before] - curve[before - 1])
        assert height == pytest.approx(target, abs=1e-6)


@given(curves)
def test_area_lies_within_the_curve_and_rises_with_it(curve):
    area = area_under_curve(curve)
    assert min(curve) - 1e-12 <= area <= max(curve) + 1e-12
    assert area_under_curve([a / 2 for a in curve]) == pytest.approx(area / 2)
