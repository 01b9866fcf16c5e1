"""Optimisers that hold other weights for steps than for evaluation, as schedule-free ones do.

They have `train()` and `eval()` (Defazio et al. 2024, The Road Less Scheduled, arXiv:2405.15682):
gradients are taken at one point, and the average of the points so far is what counts.
"""

from typing import Any

import torch


def has_modes(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `optimizer` must be told before steps and before evaluation."""
    return all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))


def set_mode(optimizer: torch.optim.Optimizer, stepping: bool) -> None:
    """Make the parameters those that steps are taken at, or those that count.

    Does nothing to an optimiser of one mode, nor twice.
    """
    if has_modes(optimizer):
        switch: Any = optimizer
        switch.train() if stepping else switch.eval()
