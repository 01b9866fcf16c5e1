"""What feeds a head's last layer, computed once for every image."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gapfc.engine.device import Precision
from gapfc.measure.complexity import evaluating


def last_inputs(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    layer: nn.Module,
    precision: Precision,
) -> tuple[Tensor, Tensor]:
    """The inputs of `layer` in evaluation mode, float32 [N, D], and the labels [N].

    Maps `[B, D, H, W]` in front of a 1×1 convolution are averaged: NIN averages after it, which for
    a linear layer is the same.

    Args:
        model: whose head contains `layer`.
        batches: of what the model takes, and labels `[B]`.
        layer: the last of the head.
        precision: of the forward pass, as in evaluation.
    """
    features: list[Tensor] = []
    labels: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        given = arguments[0].float()
        features.append(given.mean((2, 3)) if given.ndim == 4 else given)

    hook = layer.register_forward_pre_hook(keep)
    try:
        # Not inference_mode: its tensors could not take part in the gradients of the probe.
        with evaluating(model), torch.no_grad(), precision.autocast():
            for inputs, classes in batches:
                model(inputs)
                labels.append(classes)
    finally:
        hook.remove()
    return torch.cat(features), torch.cat(labels)
