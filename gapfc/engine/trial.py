"""A step of an optimiser, tried on parameters of one number."""

import inspect
from collections import defaultdict
from typing import Any

import torch
from torch import nn

from gapfc.engine.modes import set_mode


def trial_step(
    optimizer: torch.optim.Optimizer,
) -> tuple[list[dict[str, Any]], dict[str, bool | int | float]]:
    """What `optimizer` remembers after a step: of each parameter, and in its groups.

    The parameters stand for those of `optimizer`, with as many dimensions each; it is not touched
    itself. Raises whatever a step raises that it cannot take.

    Returns:
        the state of each parameter, in order, and what it counts in its groups, with the values
        after the step: numbers and flags that are no arguments of its class. Torch's own have
        none; schedule-free optimisers count steps there.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    small = [nn.Parameter(p.new_zeros([1] * p.ndim)) for p in parameters]
    for parameter in small:
        parameter.grad = torch.zeros_like(parameter)
    replaced = dict(zip(map(id, parameters), small, strict=True))
    # Not copy.copy, by which an optimiser would lose the attributes of a class of its own.
    trial: torch.optim.Optimizer = object.__new__(type(optimizer))
    trial.__dict__.update(optimizer.__dict__)
    trial.state = defaultdict(dict)
    trial.param_groups = [
        {**group, "params": [replaced[id(p)] for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    set_mode(trial, stepping=True)
    trial.step()
    settings = {"base_lr"}
    for constructor in (vars(made).get("__init__") for made in type(optimizer).__mro__):
        if constructor is not None:
            settings |= inspect.signature(constructor).parameters.keys()
    counts = {
        name: value
        for group in trial.param_groups
        for name, value in group.items()
        if name not in settings and isinstance(value, bool | int | float)
    }
    return [dict(trial.state[parameter]) for parameter in small], counts
