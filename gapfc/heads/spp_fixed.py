"""A pyramid of fixed windows: pooling at several scales, each averaged over the whole map."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gapfc.errors import UserError
from gapfc.heads.pooled import PooledHead
from gapfc.validators import is_count, list_of, one_of


class SPPFixed(PooledHead):
    """Windows k×k, stride 1, for each k of `windows`; each level averaged over H×W -> MLP.

    The windows keep their size when the map grows (`SPP`'s bins grow with it), and the averages say
    nothing about position: it separates the pyramid's scales from its grid.

    Args:
        windows: the k of each level; the pooled width is C·len(windows). k = 1 is plain GAP.
        pool: max or avg, within a window.
    """

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        windows: Sequence[int] = (1, 2, 3),
        pool: str = "max",
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        list_of("head.windows", windows, is_count, "a list of positive sizes, such as [1, 2, 3]")
        one_of("head.pool", pool, ("max", "avg"))
        super().__init__(feature_shape, num_classes, hidden, dropout, bias, len(windows))
        self.windows = tuple(windows)
        self.window_pool = F.max_pool2d if pool == "max" else F.avg_pool2d
        self._check_fits(*feature_shape[1:])

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to `[B, C·levels]`, level by level."""
        self._check_fits(*features.shape[2:])
        return torch.cat([self.window_pool(features, k, 1).mean((2, 3)) for k in self.windows], 1)

    def _check_fits(self, height: int, width: int) -> None:
        if max(self.windows) > min(height, width):
            raise UserError(
                f"head.windows={list(self.windows)} needs a feature map of at least "
                f"{max(self.windows)}×{max(self.windows)}; this one is {height}×{width}. "
                "Take smaller windows or a larger dataset.image_size."
            )
