"""What a model costs: parameters, and multiply-accumulates (MACs) of one image."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Parameters in total, and those of them that are trained; a shared one counts once."""
    parameters = list(module.parameters())
    return (
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
    )


def macs(backbone: nn.Module, head: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """MACs of one forward of one image: `backbone`, `head` and `total`.

    input_shape: [3, h, w]. Counts convolutions and matrix products (two FLOPs of
    `torch.utils.flop_counter` are one MAC), as papers do: pooling, activations, norms and biases
    count as nothing. Modules keep their mode, buffers and gradients, torch its random state.
    Give the modules themselves, not `torch.compile`d ones: those hide their operations.
    """
    like = next(
        (p for module in (backbone, head) for p in module.parameters() if p.is_floating_point()),
        torch.empty(0),
    )
    with evaluating(backbone, head), torch.no_grad():
        with _Flops() as of_backbone:
            features: Tensor = backbone(like.new_zeros(1, *input_shape))
        with _Flops() as of_head:
            head(features)
    parts = {"backbone": of_backbone.total // 2, "head": of_head.total // 2}
    return parts | {"total": sum(parts.values())}


class _Flops(TorchDispatchMode):
    """Adds up what torch's own table of operations says; total: FLOPs so far.

    `FlopCounterMode` does the same by module, and imports torch's compiler, which takes a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # newer versions of torch: nothing is compiled that it would be hidden from

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        flops = flop_registry.get(func._overloadpacket)
        if flops is None:
            with self:  # of an operation made of others, those count
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        if flops is not None:
            self.total += flops(*args, **kwargs, out_val=result)
        return result


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Eval mode inside; outside, every submodule's own mode and the random state as before."""
    modes = {m: m.training for module in modules for m in module.modules()}
    devices = {
        p.device.index for m in modules for p in m.parameters() if p.device.type == "cuda"
    } - {None}
    with torch.random.fork_rng(devices=sorted(devices)):
        try:
            for module in modules:
                module.eval()
            yield
        finally:
            for module, training in modes.items():
                module.training = training
