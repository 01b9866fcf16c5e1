"""How much each class counts in the loss, where classes are of uneven size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gapfc.errors import UserError
from gapfc.formatting import plural, printable

BALANCED = "balanced"


def class_weights(
    setting: str | Sequence[float] | None, labels: Tensor, classes: Sequence[str]
) -> Tensor | None:
    """What `trainer.class_weights` asks for; the mean over the training images is 1.

    `balanced` is n / (K·n_k): every class weighs as much as any other (King & Zeng 2001, "Logistic
    regression in rare events data"; scikit-learn's `compute_class_weight`). Of a list
    only the proportions count, so that the rate of learning stays what it was.

    Args:
        setting: None, `balanced`, or a number above 0 for each class.
        labels: of the training images, int64 [N], on the CPU.
        classes: their names, K.

    Returns:
        float32 [K] on the CPU, or None for equal weights. A class without any training image, which
        no loss ever asks about, has 1.

    Raises:
        UserError: for a list of another length.
    """
    if setting is None:
        return None
    counts = torch.bincount(labels, minlength=len(classes)).double()
    present = counts > 0
    if setting == BALANCED:
        weights = 1 / counts.clamp(min=1)
    else:
        if len(setting) != len(classes):
            shown = ", ".join(printable(str(name), 24) for name in classes[:4])
            raise UserError(
                f"trainer.class_weights has {plural(len(setting), 'number')} and the data "
                f"{len(classes)} classes: it takes a number for each, in the order {shown}"
                f"{', …' if len(classes) > 4 else ''}; or trainer.class_weights=balanced"
            )
        weights = torch.tensor([float(value) for value in setting], dtype=torch.float64)
    mean = (weights * counts).sum() / counts.sum()
    return torch.where(present, weights / mean, 1.0).float()


def cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """The mean over a batch, each image's loss times the weight of its class.

    It is divided by the number of images, not by the sum of their weights as torch does: a batch
    that happens to hold only rare classes then counts for more, as it should, and the mean over
    accumulated batches is that over their images. Over all training images both are the same.

    Args:
        logits: [B, K]; labels: int64 [B].
        smoothing: share of the target spread over all classes; its part, too, has the image's
            weight.
        weights: [K], or None for equal ones.
    """
    if weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    each = F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    return (each * weights[labels]).mean()
