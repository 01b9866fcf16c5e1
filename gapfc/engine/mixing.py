"""Training on mixtures of two images: mixup and CutMix, a whole batch at a time."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gapfc.validators import number


@dataclass(frozen=True)
class Mixing:
    """One mixture coefficient per batch; partners come from the batch in reverse order.

    Batches are shuffled, so the reversal is a random pairing, and costs no second draw.

    mixup: Zhang et al. 2018, arXiv:1710.09412, eq. 1. CutMix: Yun et al. 2019, arXiv:1905.04899,
    eq. 1 and 2. If both are on, each batch gets one of them with equal probability.

    Args:
        mixup, cutmix: alpha of the Beta(alpha, alpha) that the coefficient is drawn from; 0 is off.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        number("augment.mixup", self.mixup, least=0, takes="0 (off) or a positive alpha")
        number("augment.cutmix", self.cutmix, least=0, takes="0 (off) or a positive alpha")

    def __bool__(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    def __call__(
        self, images: Tensor, labels: Tensor, key: tuple[int, ...]
    ) -> tuple[Tensor, Tensor, float]:
        """Mix images `[B, 3, h, w]`.

        Args:
            images: of the batch.
            labels: `[B]`.
            key: (seed, epoch, batch), which alone decides the draw: another head or a resumed
                run mixes the same.

        Returns:
            mixed images, the partners' labels `[B]`, and the weight of the image's own label.
        """
        draw = np.random.default_rng(key)
        cut = self.cutmix > 0 and (self.mixup == 0 or draw.random() < 0.5)
        alpha = self.cutmix if cut else self.mixup
        weight = float(draw.beta(alpha, alpha))
        partners, partner_labels = images.flip(0), labels.flip(0)
        if not cut:
            return torch.lerp(partners, images, weight), partner_labels, weight
        height, width = images.shape[2:]
        side = (1 - weight) ** 0.5
        middle_y, middle_x = draw.random() * height, draw.random() * width
        top = int(max(middle_y - side * height / 2, 0))
        bottom = int(min(middle_y + side * height / 2, height))
        left = int(max(middle_x - side * width / 2, 0))
        right = int(min(middle_x + side * width / 2, width))
        images = images.clone(memory_format=torch.preserve_format)
        images[:, :, top:bottom, left:right] = partners[:, :, top:bottom, left:right]
        # The box may stick out of the image: the labels weigh what is really seen.
        return images, partner_labels, 1 - (bottom - top) * (right - left) / (height * width)
