"""NIN's head: one map per class (Lin, Chen & Yan 2014, arXiv:1312.4400, sec. 3.2)."""

from torch import Tensor, nn

from gapfc.errors import UserError
from gapfc.heads.channels import check_channels
from gapfc.heads.mlp import check_dropout


class NIN(nn.Module):
    """1×1 conv to K maps -> ReLU -> mean over H×W.

    Without the ReLU it is the same function as `GAP` with a Linear: mean(conv1×1(x)) =
    Linear(mean(x)). With it, as in the paper, positions cannot vote against a class.

    Args:
        relu: whether the K maps pass a ReLU before the mean.
        conv: False takes the backbone's own maps as the K maps: a head without parameters.
        dropout: on the features, whole channels at a time (they are averaged afterwards).
        bias: of the 1×1 convolution.
    """

    accepts_any_size = True

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        relu: bool = True,
        conv: bool = True,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.channels = channels = feature_shape[0]
        if not conv and channels != num_classes:
            raise UserError(
                "head=nin head.conv=false has no parameters: it averages the backbone's own maps, "
                f"so it needs one per class: {num_classes}; the backbone gives {channels}. "
                "Set head.conv=true, or the width of the backbone's last layer."
            )
        check_dropout(dropout)
        self.width = num_classes
        self.dropout = nn.Dropout2d(dropout)
        self.conv: nn.Module = nn.Identity()
        if conv:
            self.conv = _convolution(channels, num_classes, bias, relu)
        self.relu = nn.ReLU() if relu else nn.Identity()

    @property
    def last_layer(self) -> nn.Module | None:
        """What gives the maps, and so the logits; None without a convolution."""
        return self.conv if isinstance(self.conv, nn.Conv2d) else None

    def maps(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to one map per class, `[B, K, H, W]`."""
        check_channels(features, self.channels)
        return self.relu(self.conv(self.dropout(features)))

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to the mean of each class's map, `[B, K]`: the logits already."""
        return self.maps(features).mean((2, 3))

    def forward(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to logits `[B, K]`."""
        return self.pool(features)


def _convolution(channels: int, num_classes: int, bias: bool, before_relu: bool) -> nn.Conv2d:
    conv = nn.Conv2d(channels, num_classes, 1, bias=bias)
    if before_relu and conv.bias is not None:
        # A map that the first steps push below zero everywhere gets no gradient ever again, and
        # its class is lost. Starting above zero gives each map time to learn its own; the softmax
        # does not see a constant added to all.
        nn.init.ones_(conv.bias)
    return conv
