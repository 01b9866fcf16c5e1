"""The bins of the calibration error."""

import pytest
import torch

from gapfc.measure.calibration import bin_sums, expected_calibration_error


def test_bins_are_right_closed():
    edges = torch.arange(16, dtype=torch.float64) / 15
    count = bin_sums(edges, torch.ones(16))[0]
    # 0 joins 1/15 in the first bin; every other edge closes its own.
    assert count.tolist() == [2] + [1] * 14
    just_above = torch.nextafter(edges[1:-1], torch.ones(14, dtype=torch.float64))
    assert bin_sums(just_above, torch.ones(14))[0].tolist() == [0] + [1] * 14


def test_sums_of_two_batches_by_hand():
    first = bin_sums(torch.tensor([0.9, 0.95]), torch.tensor([1, 0]), bins=10)
    second = bin_sums(torch.tensor([0.5, 0.96]), torch.tensor([1, 1]), bins=10)
    # (0.4, 0.5]: 1 right of 1 at 0.5. (0.8, 0.9]: 1 of 1 at 0.9, which as float32 lies just
    # below. (0.9, 1]: 1 of 2 at 0.955 on average.
    expected = (1 * 0.5 + 1 * 0.1 + 2 * abs(0.5 - 0.955)) / 4
    assert expected_calibration_error(first + second) == pytest.approx(expected, rel=1e-6)
