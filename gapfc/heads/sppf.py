"""Fast spatial pyramid pooling (SPPF of YOLOv5, Jocher 2020; after He et al. 2014)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapfc.heads.channels import check_channels
from gapfc.heads.mlp import check_dropout
from gapfc.validators import is_count, one_of, refuse, whole

ACTIVATIONS = {"none": nn.Identity, "relu": nn.ReLU, "silu": nn.SiLU}


class SPPF(nn.Module):
    """1×1 conv -> three chained max pools beside their input -> 1×1 conv -> mean -> Linear(K).

    With kernel 5 and stride 1, one, two and three pools in a chain equal single pools of 5, 9 and
    13: the pyramid of YOLO's SPP at a fraction of its cost.

    Args:
        hidden_channels: out of the first convolution; None for C // 2, as YOLOv5.
        out_channels: out of the second, the width of the pooled vector; None for C.
        kernel_size: of each max pool, odd.
        activation: none, relu or silu, after each convolution (YOLOv5: silu after batch norm).
        dropout: before the Linear.
        bias: of the convolutions and the Linear.
    """

    accepts_any_size = True

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        hidden_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: int = 5,
        activation: str = "none",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.channels = channels = feature_shape[0]
        hidden = max(channels // 2, 1) if hidden_channels is None else hidden_channels
        self.width = channels if out_channels is None else out_channels
        whole("head.hidden_channels", hidden, least=1)
        whole("head.out_channels", self.width, least=1)
        if not is_count(kernel_size) or kernel_size % 2 == 0:
            refuse("head.kernel_size", "an odd number above 0", kernel_size)
        one_of("head.activation", activation, ACTIVATIONS)
        check_dropout(dropout)
        self.kernel_size = kernel_size
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.expand = nn.Conv2d(4 * hidden, self.width, 1, bias=bias)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.width, num_classes, bias=bias)

    @property
    def last_layer(self) -> nn.Module:
        """What gives the logits."""
        return self.classifier

    @staticmethod
    def widths(options: Mapping[str, Any]) -> list[Callable[[int], dict[str, Any]]]:
        """Both convolutions together, as YOLOv5 has them; then the second alone, in finer steps.

        The parameters grow with the square of the first number, but in proportion to the second.
        """
        return [
            lambda n: {"hidden_channels": n, "out_channels": 2 * n},
            lambda n: {"out_channels": n},
        ]

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to the means of the second convolution's maps, `[B, width]`."""
        check_channels(features, self.channels)
        levels = [self.activation(self.reduce(features))]
        for _ in range(3):
            levels.append(
                F.max_pool2d(levels[-1], self.kernel_size, 1, padding=self.kernel_size // 2)
            )
        if isinstance(self.activation, nn.Identity):
            # A 1×1 convolution of the mean is the mean of the convolution, at one place of many.
            levels = [level.mean((2, 3), keepdim=True) for level in levels]
        pyramid = self.activation(self.expand(torch.cat(levels, dim=1)))
        return pyramid.mean((2, 3))

    def forward(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to logits `[B, K]`."""
        return self.classifier(self.dropout(self.pool(features)))
