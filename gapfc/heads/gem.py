"""Generalised-mean pooling (Radenović, Tolias & Chum 2018, arXiv:1711.02512, sec. 3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gapfc.heads.pooled import PooledHead
from gapfc.validators import number


class GeM(PooledHead):
    """(mean over H×W of x^p)^(1/p) -> Linear(K), with one learned p for all channels.

    p = 1 is average pooling (of the values clamped to at least `eps`), p → ∞ is max pooling.

    Args:
        p: the exponent at the start; the paper starts at 3.
        learn_p: whether p is trained.
        eps: values below it are raised to it, since a fractional power needs positive values.
    """

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        p: float = 3.0,
        learn_p: bool = True,
        eps: float = 1e-6,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        number("head.p", p, above=0)
        number("head.eps", eps, above=0)
        super().__init__(feature_shape, num_classes, hidden, dropout, bias)
        self.p = nn.Parameter(torch.tensor(float(p)), requires_grad=learn_p)
        self.eps = eps

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to generalised means `[B, C]`."""
        # float32 even under autocast: bf16 has 3 digits, and powers spend them. Through logarithms
        # no power overflows, and a step takes a third of the time that `pow` does.
        logs = features.float().clamp(min=self.eps).log()
        # A tensor: in an export the sides are symbols.
        places = logs.new_ones(()) * logs.shape[2] * logs.shape[3]
        return (((self.p * logs).logsumexp((2, 3)) - places.log()) / self.p).exp()
