"""What a model costs: parameters, and multiply-accumulates (MACs) of one image."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


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
    from torch.utils.flop_counter import FlopCounterMode

    like = next(
        (p for module in (backbone, head) for p in module.parameters() if p.is_floating_point()),
        torch.empty(0),
    )
    with evaluating(backbone, head), torch.no_grad():
        with FlopCounterMode(display=False) as backbone_counter:
            features: Tensor = backbone(like.new_zeros(1, *input_shape))
        with FlopCounterMode(display=False) as head_counter:
            head(features)
    parts = {
        "backbone": backbone_counter.get_total_flops() // 2,
        "head": head_counter.get_total_flops() // 2,
    }
    return parts | {"total": sum(parts.values())}


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
