"""The linear probe: multinomial logistic regression on features that don't move."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Weights of the L2 penalty that validation chooses from, for features whose mean squared distance
# from their mean is 1. From strong to weak: each solution is the start of the next.
PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# The basis of principal components costs the cube of its size; beyond this, more than it saves.
LARGEST_BASIS = 2048


@dataclass(frozen=True)
class Probe:
    """A solved probe.

    Attributes:
        weight, bias: of the linear layer, float32 [K, D] and [K] (None: without).
        penalty: the chosen weight of the L2 penalty, of PENALTIES.
        loss: mean cross entropy on the training features, weighted as they are, without the
            penalty.
        train_accuracy, val_accuracy: in [0, 1].
        iterations: of L-BFGS, over all penalties.
    """

    weight: Tensor
    bias: Tensor | None
    penalty: float
    loss: float
    train_accuracy: float
    val_accuracy: float
    iterations: int


def solve(
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    num_classes: int,
    bias: bool = True,
    check: Callable[[], None] = lambda: None,
    weights: Tensor | None = None,
) -> Probe:
    """Fit a linear classifier to features, and choose its regularisation on validation features.

    Minimises mean cross entropy + penalty/2 · ‖W‖² (not of the bias) by L-BFGS (Nocedal & Wright
    2006, alg. 7.5), for each of PENALTIES. The accuracy on `val` chooses, or the balanced one where
    classes have weights; between equal ones, the lower loss. The problem is turned into the
    features' principal components, each scaled by the curvature there, which leaves the solution
    where it is and needs a tenth of the steps.

    Args:
        train, val: features [N, D] and labels [N].
        num_classes: K.
        bias: whether the layer has one.
        check: called between penalties, and may raise.
        weights: of each class in the cross entropy, [K], whose mean is then a weighted one; None:
            equal ones.
    """
    x, labels = train
    mean = x.mean(0, dtype=torch.float64).float() if bias else torch.zeros_like(x[0])
    scale = float((x - mean).square().sum(1).mean().sqrt()) or 1.0
    coordinates = _coordinates((x - mean) / scale)
    inputs, held = coordinates.inputs, coordinates.project((val[0] - mean) / scale)
    # The Hessian of the cross entropy at equal logits is (1 - 1/K)/K of the features' own.
    curvature = inputs.square().mean(0) * (1 - 1 / max(num_classes, 2)) / max(num_classes, 2)

    weight = inputs.new_zeros(num_classes, inputs.shape[1])
    offset = inputs.new_zeros(num_classes)
    best: tuple[tuple[float, float], Tensor, Tensor, float] | None = None
    iterations = 0
    for penalty in PENALTIES:
        weight, offset, steps = _minimise(
            inputs, labels, weight, offset, (curvature + penalty).rsqrt(), penalty, bias, weights
        )
        iterations += steps
        logits = F.linear(held, weight, offset)
        judged = _accuracy if weights is None else _balanced_accuracy
        score = (judged(logits, val[1]), -float(F.cross_entropy(logits, val[1], weights)))
        if best is None or score > best[0]:
            best = score, weight, offset, penalty
        elif score[0] < best[0][0] and score[1] < best[0][1]:
            break  # weaker ones only fit the training images better
        check()
    assert best is not None
    _, weight, offset, penalty = best
    logits = F.linear(inputs, weight, offset)
    full = coordinates.back(weight) / scale
    return Probe(
        weight=full,
        bias=offset - full @ mean if bias else None,
        penalty=penalty,
        loss=float(F.cross_entropy(logits, labels, weights)),
        train_accuracy=_accuracy(logits, labels),
        val_accuracy=_accuracy(F.linear(held, weight, offset), val[1]),
        iterations=iterations,
    )


@dataclass(frozen=True)
class _Coordinates:
    """Features in a basis where the penalty is the same.

    Attributes:
        inputs: the training features in it, [N, r].
        project: features [M, D] -> [M, r].
        back: weights [K, r] -> the same function of the features themselves, [K, D].
    """

    inputs: Tensor
    project: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


def _coordinates(x: Tensor) -> _Coordinates:
    """Principal components of x [n, d] that hold all of it; x itself if that is too expensive.

    The penalty is the same in any orthonormal basis, and a minimum has no part outside the span.
    """
    n, d = x.shape
    if min(n, d) > LARGEST_BASIS:
        return _Coordinates(x, lambda other: other, lambda weight: weight)
    if d <= n:
        basis = torch.linalg.eigh((x.T @ x).double())[1].float()
        return _Coordinates(x @ basis, lambda other: other @ basis, lambda weight: weight @ basis.T)
    # With x = U S Vᵀ: the n×n side of the decomposition, so that nothing costs more than n²d.
    values, vectors = torch.linalg.eigh((x @ x.T).double())
    kept = values > values[-1] * 1e-6
    sizes, left = values[kept].sqrt().float(), vectors[:, kept].float()
    return _Coordinates(
        left * sizes,
        lambda other: (other @ x.T) @ (left / sizes),
        lambda weight: (weight / sizes) @ left.T @ x,
    )


def _minimise(
    x: Tensor,
    labels: Tensor,
    weight: Tensor,
    offset: Tensor,
    preconditioner: Tensor,
    penalty: float,
    bias: bool,
    weights: Tensor | None,
) -> tuple[Tensor, Tensor, int]:
    scaled = (weight / preconditioner).requires_grad_()
    offset = offset.clone().requires_grad_(bias)
    optimizer = torch.optim.LBFGS(
        [scaled, offset] if bias else [scaled],
        max_iter=50,
        tolerance_grad=1e-5,
        tolerance_change=1e-5,
        history_size=10,
        line_search_fn="strong_wolfe",
    )
    preconditioned = x * preconditioner

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(preconditioned, scaled, offset), labels, weights)
        loss = loss + penalty / 2 * (scaled * preconditioner).square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    steps = optimizer.state[scaled]["n_iter"]
    return (scaled * preconditioner).detach(), offset.detach(), steps


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())


def _balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """The mean over the classes that are there."""
    right = (logits.argmax(1) == labels).double()
    return float(torch.stack([right[labels == k].mean() for k in labels.unique()]).mean())
