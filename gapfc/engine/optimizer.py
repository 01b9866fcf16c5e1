"""The optimiser and its parameter groups."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from gapfc.engine.eager import eager
from gapfc.engine.layer_decay import layer_factors
from gapfc.engine.trial import trial_step
from gapfc.errors import UserError
from gapfc.formatting import first_line
from gapfc.settings.nodes import locate
from gapfc.validators import number

# Of torch.optim: why a network of convolutions cannot be trained with it here, and what to take.
CANNOT = {
    "LBFGS": "evaluates the loss several times per step; gapfc trains on mini-batches, once per "
    "step. Take SGD, AdamW or another.",
    "Muon": "orthogonalises matrices, so it takes parameters of 2 dimensions alone: convolution "
    "kernels have 4, biases and norms 1. Take AdamW, NAdam or SGD.",
    "SparseAdam": "is for the sparse gradients of embeddings; those of convolutions and linear "
    "layers are dense. Take Adam or AdamW.",
    "Optimizer": "is what optimisers are derived from. Take SGD, AdamW or another.",
}


def build_optimizer(
    model: nn.Module,
    options: Mapping[str, Any],
    lr_multipliers: Mapping[str, float],
    layer_decay: float = 1.0,
) -> torch.optim.Optimizer:
    """Build the optimiser over what is trainable in `model`.

    Norms, biases and other vectors are not decayed: decay would only fight their scale. Frozen
    parameters are left out, so neither decay nor momentum can move them.

    Args:
        model: whose children may have their own learning rates.
        options: `_target_` (a class of torch.optim or of another library), `lr`, and its other
            arguments.
        lr_multipliers: child name -> factor on `lr`; 1 for children not named.
        layer_decay: factor on `lr` per stage of `model.backbone`, see `layer_factors`; 1 for none.

    Raises:
        UserError: if the class can't be found, refuses the options, or can't train such a model.
    """
    arguments = {k: v for k, v in options.items() if k not in ("name", "_target_")}
    path = str(options["_target_"])
    target = _optimizer_class(path)
    ours = target is getattr(torch.optim, target.__name__, None)
    if ours and target.__name__ in CANNOT:
        raise UserError(f"optimizer._target_={path} {CANNOT[target.__name__]}")
    base = number("optimizer.lr", arguments.get("lr", 1e-3), takes="a number, such as 0.001")
    for name, factor in lr_multipliers.items():
        number(f"{name}.lr_multiplier", factor, least=0)
    groups = []
    for factor, trainable in _rates(model, lr_multipliers, layer_decay):
        lr = base * factor
        for decayed in (True, False):
            parameters = [p for p in trainable if (p.ndim > 1) == decayed]
            if not parameters:
                continue
            group = {"params": parameters, "lr": lr, "base_lr": lr}
            if not decayed and "weight_decay" in arguments:
                group["weight_decay"] = 0.0
            groups.append(group)
    try:
        optimizer = eager(target)(groups, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"optimizer: {target.__name__} does not take these settings: {error}"
        ) from error
    if not ours:
        _check_steps(optimizer, path)
    return optimizer


def _rates(
    model: nn.Module, lr_multipliers: Mapping[str, float], layer_decay: float
) -> Iterator[tuple[float, list[nn.Parameter]]]:
    """What is trainable, by factor on the learning rate.

    The backbone's last stage comes first: the first group's rate is the one that is recorded.
    """
    factors = layer_factors(model.get_submodule("backbone"), layer_decay)
    for name, child in model.named_children():
        multiplier = lr_multipliers.get(name, 1.0)
        by_factor: dict[float, list[nn.Parameter]] = {}
        for parameter in child.parameters():
            if parameter.requires_grad:
                factor = factors.get(id(parameter), 1.0)
                by_factor.setdefault(factor, []).append(parameter)
        for factor in sorted(by_factor, reverse=True):
            yield multiplier * factor, by_factor[factor]


def _check_steps(optimizer: torch.optim.Optimizer, path: str) -> None:
    """Whether an optimiser of another library can take the steps that gapfc asks for."""
    try:
        trial_step(optimizer)
    except Exception as error:  # whatever its step raises
        raise UserError(
            f"optimizer._target_={path} cannot take a step here: {first_line(str(error))[:200]}. "
            "gapfc calls step() without arguments after each batch. Take another optimiser."
        ) from error


def _optimizer_class(path: str) -> type[torch.optim.Optimizer]:
    try:
        found: object = locate(path)
    except UserError:
        found = None
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise UserError(
            f"optimizer._target_={path} is not an optimiser; it takes one like torch.optim.RMSprop"
        )
    return found


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set every group to its base rate times `factor`; returns the first group's rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    return optimizer.param_groups[0]["lr"]
