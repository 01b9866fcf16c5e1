"""The optimiser and its parameter groups."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gapfc.engine.eager import eager
from gapfc.errors import UserError
from gapfc.settings.nodes import locate
from gapfc.validators import number


def build_optimizer(
    model: nn.Module, options: Mapping[str, Any], lr_multipliers: Mapping[str, float]
) -> torch.optim.Optimizer:
    """Build the optimiser over what is trainable in `model`.

    Norms, biases and other vectors are not decayed: decay would only fight their scale. Frozen
    parameters are left out, so neither decay nor momentum can move them.

    Args:
        model: whose children may have their own learning rates.
        options: `_target_` (a class of torch.optim), `lr`, and its other arguments.
        lr_multipliers: child name -> factor on `lr`; 1 for children not named.

    Raises:
        UserError: if the class can't be found or refuses the options.
    """
    arguments = {k: v for k, v in options.items() if k not in ("name", "_target_")}
    target = _optimizer_class(str(options["_target_"]))
    if target is torch.optim.LBFGS:
        raise UserError(
            "optimizer._target_=torch.optim.LBFGS evaluates the loss several times per step; gapfc "
            "trains on mini-batches, once per step. Take SGD, AdamW or another."
        )
    base = number("optimizer.lr", arguments.get("lr", 1e-3), takes="a number, such as 0.001")
    for name, factor in lr_multipliers.items():
        number(f"{name}.lr_multiplier", factor, least=0)
    groups = []
    for name, child in model.named_children():
        lr = base * lr_multipliers.get(name, 1.0)
        trainable = [p for p in child.parameters() if p.requires_grad]
        for decayed in (True, False):
            parameters = [p for p in trainable if (p.ndim > 1) == decayed]
            if not parameters:
                continue
            group = {"params": parameters, "lr": lr, "base_lr": lr}
            if not decayed and "weight_decay" in arguments:
                group["weight_decay"] = 0.0
            groups.append(group)
    try:
        return eager(target)(groups, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"optimizer: {target.__name__} does not take these settings: {error}"
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
