"""torch's optimisers without its compiler, which gapfc never hands a step to.

`torch.optim` has `torch._dynamo` imported before its first step, so that `torch.compile` can look
into one: nearly a second at the start of every run. Only the decorators ask for it; what they
decorate does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch.optim import Optimizer

# Of Optimizer, decorated by torch._disable_dynamo.
_KEPT_FROM_THE_COMPILER = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(kind: type[Optimizer]) -> type[Optimizer]:
    """A class that computes what `kind` does, to the bit, and leaves the compiler alone.

    Where a decorator is not known here, and for a class of anyone's but torch, `kind` itself.
    """
    if not kind.__module__.startswith("torch.optim."):
        return kind
    members: dict[str, Any] = {}
    for name in _KEPT_FROM_THE_COMPILER:
        ours = getattr(kind, name)
        if ours is getattr(Optimizer, name) and (plain := _within(ours, "inner")):
            members[name] = plain
    if step := _within(kind.step, "_use_grad"):
        members["step"] = _with_gradients(step)
    return type(kind.__name__, (kind,), {"__doc__": kind.__doc__, **members})


def _within(function: Any, decorator: str) -> Callable[..., Any] | None:
    """What `decorator`, the inner function of one, decorates in `function`; None without it."""
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        if function.__code__.co_name == decorator:
            return cast(Callable[..., Any], inner)
        function = inner
    return None


def _with_gradients(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` as torch's decorator has it: recorded by autograd if `differentiable` says so."""

    def with_gradients(self: Optimizer, closure: Callable[[], float] | None = None) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, closure)

    return with_gradients
