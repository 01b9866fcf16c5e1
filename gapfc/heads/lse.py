"""Log-sum-exp pooling (Pinheiro & Collobert 2015, CVPR, arXiv:1411.6228)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gapfc.heads.pooled import PooledHead
from gapfc.validators import number


class LSE(PooledHead):
    """(1/r) log(mean over H×W of exp(r·x)) -> Linear(K), with one r for all channels.

    r → 0 is average pooling, r → ∞ max pooling; unlike `GeM`, it takes features of either sign.

    Args:
        r: how sharp, at the start; above 0.
        learn_r: whether r is trained (its logarithm is, so that it stays above 0).
    """

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        r: float = 1.0,
        learn_r: bool = True,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        number("head.r", r, above=0)
        super().__init__(feature_shape, num_classes, hidden, dropout, bias)
        self.log_r = nn.Parameter(torch.tensor(math.log(r)), requires_grad=learn_r)

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to `[B, C]`, between their means and their maxima."""
        features = features.float()  # even under autocast: exponentials spend bf16's 3 digits
        r = self.log_r.exp()
        # Beside the maximum, no exponential overflows, for large values and large r; expm1 and
        # log1p keep the digits of a small r. As a constant, since it cancels out.
        largest = features.amax((2, 3), keepdim=True).detach()
        excess = torch.expm1(r * (features - largest)).mean((2, 3))
        return largest.flatten(1) + torch.log1p(excess) / r
