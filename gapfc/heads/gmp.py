"""Global max pooling (Oquab et al. 2015, Is object localization for free?, CVPR, sec. 3.2)."""

from torch import Tensor

from gapfc.heads.pooled import PooledHead


class GMP(PooledHead):
    """Max over H×W -> Linear(K), or the MLP that `hidden` describes."""

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to maxima `[B, C]`."""
        # adaptive_max_pool2d has no deterministic backward on CUDA; amax has, and splits the
        # gradient among equal maxima.
        return features.amax((2, 3))
