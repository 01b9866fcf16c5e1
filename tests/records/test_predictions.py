"""predictions.npz: a round trip, and everything that a stranger's could be instead."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapfc.records.npz import write_npz
from gapfc.records.predictions import PREDICTIONS, Predictions, read_predictions, write_predictions

GOOD = {
    "index": np.int64([4, 0, 7]),
    "label": np.int64([1, 0, 2]),
    "prediction": np.int64([1, 2, -1]),
    "p_label": np.float32([0.7, 0.1, np.nan]),
    "p_prediction": np.float32([0.7, 0.9, np.nan]),
}


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(n=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_a_round_trip(n, seed, tmp_path):
    draw = np.random.default_rng(seed)
    made = Predictions(
        draw.permutation(10**6)[:n], draw.integers(0, 3, n), draw.integers(-1, 3, n),
        draw.random(n), draw.random(n),
    )  # fmt: skip
    write_predictions(tmp_path, made)
    found = read_predictions(tmp_path)
    assert len(found) == n
    for name, array in GOOD.items():
        assert getattr(found, name).dtype == array.dtype
        assert np.array_equal(getattr(found, name), getattr(made, name).astype(array.dtype))
    assert found.right.tolist() == (made.label == made.prediction).tolist()


def test_what_was_not_a_number_is_never_right(tmp_path):
    write_npz(tmp_path / PREDICTIONS, GOOD)
    assert read_predictions(tmp_path).right.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "it has no array label"),
        ({"label": np.int32([1, 0, 2])}, r"label should be \[N\] of int64"),
        ({"label": np.array([1, 0, 2], ">i8")}, r"label should be \[N\] of int64"),
        ({"p_label": np.float64([0, 0, 0])}, r"p_label should be \[N\] of float32"),
        ({"index": np.int64([[4, 0, 7]])}, r"index should be \[N\] of int64"),
        ({"index": np.int64([4, 0])}, "of different lengths, or empty"),
        ({name: array[:0] for name, array in GOOD.items()}, "of different lengths, or empty"),
        ({"index": np.int64([4, 0, 4])}, "an image twice"),
        ({"index": np.int64([4, 0, -1])}, "index is below 0"),
        ({"label": np.int64([4, 0, -1])}, "label is below 0"),
        ({"prediction": np.int64([4, 0, -2])}, "prediction is below -1"),
        ({"p_label": np.float32([0, 1.5, 0])}, "p_label has probabilities that are none"),
        ({"p_prediction": np.float32([0, -np.inf, 0])}, "p_prediction has probabilities that are"),
    ],
)
def test_what_is_wrong_is_said(changes, message, tmp_path):
    arrays = {name: array for name, array in (GOOD | changes).items() if array is not None}
    write_npz(tmp_path / PREDICTIONS, arrays)
    with pytest.raises(ValueError, match=message):
        read_predictions(tmp_path)


def test_further_arrays_are_passed_over_and_none_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_predictions(tmp_path)
    write_npz(tmp_path / PREDICTIONS, {**GOOD, "later": np.zeros(1)})
    assert len(read_predictions(tmp_path)) == 3
