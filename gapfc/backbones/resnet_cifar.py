"""The CIFAR residual networks of He et al. 2015 (arXiv:1512.03385, section 4.2)."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from gapfc.backbones.initialisation import he_initialisation
from gapfc.backbones.padding import Padding, check_padding
from gapfc.backbones.stages import Stages
from gapfc.validators import one_of

_DEPTHS = (20, 32, 44, 56, 110)


class ResNetCifar(Stages):
    """A 3x3 convolution, then three stages of n blocks of 16, 32 and 64 channels; depth = 6n + 2.

    images: `[B, 3, h, w]` -> features: `[B, 64, ceil(h/4), ceil(w/4)]`; 32 x 32 images give
    `[B, 64, 8, 8]`. Shortcuts are option A: without parameters. The depth counts the classifier.
    """

    def __init__(self, depth: int = 20, padding: Padding = "zeros") -> None:
        """Build the stages.

        Args:
            depth: 20, 32, 44, 56 or 110.
            padding: zeros, or circular: beyond the border lies the opposite side.

        Raises:
            UserError: for another depth or padding.
        """
        one_of("backbone.depth", depth, _DEPTHS)
        check_padding(padding)
        blocks = (depth - 2) // 6
        stem = OrderedDict(
            conv=nn.Conv2d(3, 16, 3, padding=1, bias=False, padding_mode=padding),
            norm=nn.BatchNorm2d(16),
            relu=nn.ReLU(inplace=True),
        )
        stages: dict[str, nn.Module] = {"stem": nn.Sequential(stem)}
        channels = 16
        for number, width in enumerate((16, 32, 64), start=1):
            stages[f"stage{number}"] = nn.Sequential(
                ResidualBlock(channels, width, padding),
                *(ResidualBlock(width, width, padding) for _ in range(blocks - 1)),
            )
            channels = width
        super().__init__("resnet_cifar", stages)
        he_initialisation(self)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; halves the size where it widens.

    `[B, channels, H, W]` -> `[B, width, H', W']` with H' = H, or ceil(H/2) if width > channels.
    The shortcut is option A (section 3.3): every second row and column, new channels zero.
    """

    def __init__(self, channels: int, width: int, padding: Padding = "zeros") -> None:
        """`width`: channels of the output, at least `channels`; padding: of the convolutions."""
        super().__init__()
        self.stride = 1 if width == channels else 2
        self.new_channels = width - channels
        self.conv1 = nn.Conv2d(
            channels, width, 3, self.stride, padding=1, bias=False, padding_mode=padding
        )
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False, padding_mode=padding)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, features: Tensor) -> Tensor:
        """features: `[B, channels, H, W]` -> `[B, width, H', W']`."""
        inner = functional.relu(self.norm1(self.conv1(features)))
        inner = self.norm2(self.conv2(inner))
        shortcut = features
        if self.new_channels:
            shortcut = features[:, :, :: self.stride, :: self.stride]
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return functional.relu(inner + shortcut)
