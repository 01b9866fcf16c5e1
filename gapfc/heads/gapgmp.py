"""Average and max pooling side by side (timm's `catavgmax`, fastai's `AdaptiveConcatPool2d`)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gapfc.heads.pooled import PooledHead


class GAPGMP(PooledHead):
    """Mean and max over H×W, concatenated in this order -> Linear(K), or an MLP."""

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__(feature_shape, num_classes, hidden, dropout, bias, cells=2)

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to `[B, 2C]`: the means, then the maxima."""
        return torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
