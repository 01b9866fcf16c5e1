"""The median of a call."""

import time

import pytest

from gapfc.measure.timing import median_time


def test_warm_up_and_outliers_do_not_count():
    calls = []

    def function():
        calls.append(None)
        # Slow while warming up and once while timed.
        time.sleep(0.2 if len(calls) in (1, 2, 4) else 0.01)

    assert 0.01 <= median_time(function, repeats=5) < 0.2
    assert len(calls) == 7


def test_repeats_must_be_positive():
    with pytest.raises(ValueError, match="repeats"):
        median_time(lambda: None, repeats=0)
