"""The rule by which balanced accuracy is shown, over anything that a results.json may hold."""

import pytest

from gapfc.records.uneven import has_uneven_classes


@pytest.mark.parametrize(
    ("sizes", "uneven"),
    [
        ([10, 10], False),
        ([10, 14], False),
        ([10, 15], True),
        ([2, 3, 2], True),
        ([0, 10, 12], False),  # a class without images says nothing of accuracy
        ([0, 3], False),
        ([0, 0], False),
        ([], False),
        (None, False),
        ("10", False),
        (["10", 3], False),
        ([10, None], False),
        ({"a": 1}, False),
    ],
)
def test_one_and_a_half_times_the_smallest_is_uneven(sizes, uneven):
    assert has_uneven_classes({"class_sizes": sizes}) is uneven


@pytest.mark.parametrize("scores", [None, {}, [], 3, {"accuracy": 0.5}])
def test_runs_that_do_not_say_are_even(scores):
    assert has_uneven_classes(scores) is False
