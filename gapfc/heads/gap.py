"""Global average pooling (Lin, Chen & Yan 2014, Network in Network, arXiv:1312.4400, sec. 3.2)."""

from torch import Tensor

from gapfc.heads.pooled import PooledHead


class GAP(PooledHead):
    """Mean over H×W -> Linear(K), as in ResNet; `hidden` puts an MLP in the Linear's place.

    Linear(mean(x)) = mean(conv1×1(x)): the class activation map of this head is exact.
    """

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to means `[B, C]`."""
        return features.mean((2, 3))
