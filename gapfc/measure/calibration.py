"""Expected calibration error: does a confidence of 0.8 mean being right in 8 of 10 cases?"""

import torch
from torch import Tensor

BINS = 15


def bin_sums(confidence: Tensor, correct: Tensor, bins: int = BINS) -> Tensor:
    """Count, confidence and hits of every bin, as sums that batches can add up.

    confidence: [B] in [0, 1]; correct: [B] of 0 or 1. Returns float64 [3, bins].
    Bin i of n is (i/n, (i+1)/n]; a confidence of exactly 0 falls into the first.
    """
    confidence = confidence.double()
    inner = torch.arange(1, bins, dtype=torch.float64, device=confidence.device) / bins
    index = torch.bucketize(confidence, inner)
    # A comparison and a sum in place of a weighted bincount, which varies from run to run on CUDA.
    member = (index[:, None] == torch.arange(bins, device=index.device)).double()
    return torch.stack(
        [
            member.sum(0),
            (member * confidence[:, None]).sum(0),
            (member * correct.double()[:, None]).sum(0),
        ]
    )


def expected_calibration_error(sums: Tensor) -> float:
    """Mean gap between confidence and accuracy over bins, weighted by how full they are.

    sums: [3, bins] from `bin_sums`. On calibration of modern neural networks
    (Guo et al. 2017), equation 3.
    """
    count, confidence, correct = sums
    return float((correct - confidence).abs().sum() / count.sum())
