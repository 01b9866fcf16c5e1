"""Batch-norm statistics of weights that no step was taken at."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gapfc.engine.device import Precision


def recalibrate(model: nn.Module, batches: Iterable[Tensor], precision: Precision) -> None:
    """Measure anew, over `batches` `[B, 3, h, w]`, the statistics that training would move.

    They become the mean over the batches of what each has (Izmailov et al. 2018, arXiv:1803.05407,
    sec. 3.2). What is frozen stays, and nothing else in `model` changes. It is in evaluation mode
    but for the norms, so nothing is drawn at random. Without such norms, `batches` is not read.
    """
    was_training = model.training
    model.train()
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    model.eval()
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None  # which makes it the mean over all batches
        if norms:
            with torch.no_grad(), precision.autocast():
                for images in batches:
                    model(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(was_training)
