"""Calibration: does a confidence of 0.8 mean being right in 8 of 10 cases?"""

import math

import torch
from torch import Tensor
from torch.nn import functional

BINS = 15
TEMPERATURES = (0.05, 20.0)


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


def adaptive_calibration_error(confidence: Tensor, correct: Tensor, bins: int = BINS) -> float:
    """The same over bins of equally many samples, each of which counts for its share of them.

    confidence, correct: [N]; bins are of confidences in order, and differ by one sample at most.
    After Nguyen & O'Connor 2015, arXiv:1508.05154, sec. 4.
    """
    order = confidence.argsort(stable=True)
    gap = (correct.double() - confidence.double())[order]
    return float(sum(part.sum().abs() for part in gap.tensor_split(bins))) / len(gap)


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T that minimises the NLL of logits / T (Guo et al. 2017, sec. 4.2), within TEMPERATURES.

    logits: [N, K]; labels: int64 [N]. Without an error among them T would go to 0.
    """
    from scipy.optimize import minimize_scalar  # a third of a second, which training need not wait

    logits = logits.double()

    def nll(log_t: float) -> float:
        return float(functional.cross_entropy(logits / math.exp(log_t), labels))

    low, high = map(math.log, TEMPERATURES)
    # Convex in 1 / T, so that the bounded minimum is the only one.
    found = minimize_scalar(nll, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    return math.exp(found.x)
