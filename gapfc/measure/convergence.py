"""How fast a run learned, read off its validation curve."""

import math
from collections.abc import Sequence
from typing import TypedDict

FRACTIONS = (0.9, 0.95, 0.99)


class Reached(TypedDict):
    """When a target was reached; all None (censored) when it never was."""

    epochs: float | None
    steps: float | None
    seconds: float | None


class Convergence(TypedDict):
    """The `convergence` part of results.json."""

    area_under_curve: float | None
    to_accuracy: dict[str, Reached]
    to_fraction_of_best: dict[str, Reached]


def convergence(
    steps: Sequence[float],
    seconds: Sequence[float],
    accuracies: Sequence[float],
    targets: Sequence[float],
    fractions: Sequence[float] = FRACTIONS,
) -> Convergence:
    """Time to each target accuracy and to each fraction of the run's best accuracy.

    steps, seconds, accuracies: the values at the end of epochs 1, 2, ..., n, the first two
    cumulative. Between two measured epochs everything is linear. Nothing is known before the
    first: a target that it already meets is reported there, at epoch 1, as an upper bound.
    """
    if not len(steps) == len(seconds) == len(accuracies):
        raise ValueError("steps, seconds and accuracies must have one value per epoch each")
    curve = list(zip(range(1, len(steps) + 1), steps, seconds, accuracies, strict=True))
    best = max((a for a in accuracies if not math.isnan(a)), default=math.nan)
    return Convergence(
        area_under_curve=area_under_curve(accuracies),
        to_accuracy={target_key(t): _reached(curve, t) for t in targets},
        to_fraction_of_best={target_key(f): _reached(curve, f * best) for f in fractions},
    )


def area_under_curve(accuracies: Sequence[float]) -> float | None:
    """Mean height of the curve by the trapezoid rule, in [0, 1]; with one epoch its accuracy."""
    if not accuracies:
        return None
    if len(accuracies) == 1:
        return float(accuracies[0])
    inner = math.fsum(accuracies) - (accuracies[0] + accuracies[-1]) / 2
    return inner / (len(accuracies) - 1)


def target_key(target: float) -> str:
    """`0.90`: two decimals, or as many more as the target needs."""
    short = f"{target:.2f}"
    return short if float(short) == target else repr(float(target))


def _reached(curve: list[tuple[int, float, float, float]], target: float) -> Reached:
    for index, point in enumerate(curve):
        if point[3] >= target:
            before = curve[index - 1] if index else point
            rise = point[3] - before[3]
            part = (target - before[3]) / rise if rise > 0 else 1.0
            epochs, steps, seconds = (
                float(a + part * (b - a)) for a, b in zip(before[:3], point[:3], strict=True)
            )
            return Reached(epochs=epochs, steps=steps, seconds=seconds)
    return Reached(epochs=None, steps=None, seconds=None)
