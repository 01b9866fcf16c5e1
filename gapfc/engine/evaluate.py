"""One pass over a split, without gradients."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gapfc.engine.device import Precision
from gapfc.measure.meter import WIDTH, Measures, Meter
from gapfc.ranks.ranks import ALONE, Ranks


def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    num_classes: int,
    precision: Precision,
    ranks: Ranks = ALONE,
) -> Measures:
    """Measure `model` in evaluation mode on (images `[B, 3, h, w]`, labels `[B]`) batches.

    Anything that `batches` raises ends it. The model's mode is restored. Several ranks, which have
    the batches in turn, all find the same: what one process finds of all of them.
    """
    was_training = model.training
    model.eval()
    meter = Meter(num_classes)
    try:
        with torch.inference_mode(), precision.autocast():
            for images, labels in batches:
                meter.update(model(images), labels)
    finally:
        model.train(was_training)
    meter.parts = ranks.interleaved(meter.parts, WIDTH)
    return meter.compute()
