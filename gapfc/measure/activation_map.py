"""Where in the image a head finds the evidence for a class."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from gapfc.measure.complexity import evaluating


def class_activation_map(
    backbone: nn.Module, head: nn.Module, images: Tensor, classes: Tensor | None = None
) -> Tensor:
    """What speaks for a class in the last feature map, each map scaled to a maximum of 1.

    images: normalised [B, 3, h, w]; classes: int64 [B], by default the predicted ones.
    Returns float32 [B, H, W] in [0, 1]; all zero where nothing speaks for the class.

    A head with a map of each class (`maps(features)`: nin, attn) is asked for it, behind its ReLU
    if it has one: that is what it averages into the logit. For the others it is Grad-CAM (Selvaraju
    et al. 2017, equations 1 and 2), which needs to know nothing of the head. For `gap` its channel
    weights are the classifier's over H·W, so that up to this scale it is the positive part of the
    class activation map (Zhou et al. 2016, equation 2).

    Modules keep their mode, gradients and random state. Maps are taken in float32 outside
    autocast; the modules must be float32, as they are under mixed precision.
    """
    # Logging may be called from evaluation, where inference mode would forbid gradients.
    with evaluating(backbone, head), torch.inference_mode(False):
        with torch.no_grad():
            features = backbone(images.clone())
        features = features.detach().requires_grad_()
        with torch.enable_grad():
            logits = head(features)
        chosen = logits.argmax(1) if classes is None else classes
        if hasattr(head, "maps"):
            with torch.no_grad():
                maps = cast(Any, head).maps(features)[torch.arange(len(chosen)), chosen]
        else:
            score = logits.gather(1, chosen[:, None]).sum()
            # Of the features only: the parameters' .grad may hold an accumulating step's.
            (gradient,) = torch.autograd.grad(score, features)
            weights = gradient.mean((2, 3), keepdim=True)
            maps = (weights * features.detach()).sum(1)
    maps = maps.relu().float()
    largest = maps.amax((1, 2), keepdim=True)
    return torch.where(largest > 0, maps / largest, 0.0)
