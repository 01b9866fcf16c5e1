"""What most heads have in common: logits = classifier(pool(features))."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from gapfc.heads.channels import check_channels
from gapfc.heads.mlp import mlp


class PooledHead(nn.Module, ABC):
    """A pool, which each subclass defines, before an MLP.

    Args:
        feature_shape: (C, H, W) of the features it will see.
        num_classes: K.
        hidden: widths of the classifier's hidden layers; [] gives a single Linear.
        dropout: after each hidden layer; without hidden layers, before the Linear.
        bias: of the Linear layers.
        cells: how many values the pool keeps of each channel: the pooled vector is C·cells wide.

    Raises:
        UserError: if an option is out of its range.
    """

    accepts_any_size = True

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        bias: bool = True,
        cells: int = 1,
    ) -> None:
        super().__init__()
        self.channels = feature_shape[0]
        self.width = self.channels * cells
        self.classifier = mlp(self.width, hidden, num_classes, dropout, bias)

    @property
    def last_layer(self) -> nn.Module:
        """What gives the logits."""
        return self.classifier[-1]

    @staticmethod
    def widths(options: Mapping[str, Any]) -> list[Callable[[int], dict[str, Any]]]:
        """One width for all hidden layers that `options` have, or for one if they have none."""
        depth = max(1, len(options.get("hidden") or ()))
        return [lambda n: {"hidden": [n] * depth}]

    @abstractmethod
    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to vectors `[B, width]`."""

    def forward(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to logits `[B, K]`. UserError if they have other channels."""
        check_channels(features, self.channels)
        return self.classifier(self.pool(features))
