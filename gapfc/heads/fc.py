"""Fully connected: the head of AlexNet and VGG."""

from collections.abc import Sequence

from torch import Tensor

from gapfc.errors import UserError
from gapfc.formatting import times
from gapfc.heads.pooled import PooledHead


class FC(PooledHead):
    """Flatten -> Linear(hidden) -> ReLU -> Dropout -> Linear(K).

    The only head that sees where in the map a value was, with one weight per position, and so the
    only one that is bound to the map size it was built for. `hidden=[]` gives flatten -> Linear.
    """

    accepts_any_size = False

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        hidden: Sequence[int] = (512,),
        dropout: float = 0.5,
        bias: bool = True,
    ) -> None:
        cells = feature_shape[1] * feature_shape[2]
        super().__init__(feature_shape, num_classes, hidden, dropout, bias, cells)
        self.feature_shape = tuple(feature_shape)

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` of the size it was built for, to `[B, C·H·W]`."""
        if tuple(features.shape[1:]) != self.feature_shape:
            from gapfc.heads import names  # which imports this file

            raise UserError(
                f"head=fc was built for a feature map {times(self.feature_shape)} and got "
                f"{times(features.shape[1:])}: it takes one image size. "
                f"Heads that accept any: {names(lambda head: head.accepts_any_size)}."
            )
        return features.flatten(1)
