"""How long a call takes on a device."""

import statistics
import time
from collections.abc import Callable

import torch


def median_time(
    function: Callable[[], object], repeats: int = 10, device: torch.device | str = "cpu"
) -> float:
    """Median seconds of `function()` over `repeats` calls, after two untimed ones.

    On CUDA every call is waited for, so that the work is timed and not its launch. The median,
    because one call that is interrupted must not move the figure.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    device = torch.device(device)
    for _ in range(2):
        function()
    seconds = []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        function()
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
