"""Spatial pyramid pooling (He, Zhang, Ren & Sun 2014, arXiv:1406.4729, sec. 2.2)."""

from collections.abc import Sequence

from torch import Tensor

from gapfc.heads.pooled import PooledHead
from gapfc.heads.pyramid import pyramid_max, pyramid_mean
from gapfc.validators import is_count, list_of, one_of

POOLS = {"max": pyramid_max, "avg": pyramid_mean}


class SPP(PooledHead):
    """n×n bins for each n of `levels`, max- or average-pooled, concatenated -> MLP.

    The bins scale with the map, so the vector has the same width at any input size, and, unlike
    under global pooling, still says roughly where a value was. `levels=[1]` with `pool=avg` is
    `GAP`, with `pool=max` `GMP`.

    Args:
        levels: the n of each level; the pooled width is C·Σn².
        pool: max (as the paper) or avg.
    """

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        levels: Sequence[int] = (1, 2, 4),
        pool: str = "max",
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        list_of("head.levels", levels, is_count, "a list of positive bin counts, such as [1, 2, 4]")
        one_of("head.pool", pool, POOLS)
        cells = sum(n * n for n in levels)
        super().__init__(feature_shape, num_classes, hidden, dropout, bias, cells)
        self.levels = tuple(levels)
        self.pool_bins = POOLS[pool]

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to `[B, C·Σn²]`: for each channel, its bins level by level."""
        return self.pool_bins(features, self.levels).flatten(1)
