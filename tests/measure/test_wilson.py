"""Wilson's interval of a share, by an implementation of others."""

import pytest
from statsmodels.stats.proportion import proportion_confint

from gapfc.measure.wilson import wilson


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize(("right", "n"), [(0, 10), (357, 359), (10, 10), (50, 100), (1, 1)])
def test_wilson_equals_statsmodels(right, n, confidence):
    expected = proportion_confint(right, n, 1 - confidence, "wilson")
    assert wilson(right / n, n, confidence) == pytest.approx(expected, abs=1e-12)
