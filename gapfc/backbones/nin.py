"""Network in Network (Lin, Chen, Yan, arXiv:1312.4400) without its last layer."""

from collections import OrderedDict

from torch import nn

from gapfc.backbones.initialisation import he_initialisation
from gapfc.backbones.padding import CircularPool, Padding, check_padding
from gapfc.backbones.stages import Stages
from gapfc.validators import number, whole


class NIN(Stages):
    """The three mlpconv blocks of the paper's released CIFAR-10 network.

    images: `[B, 3, h, w]` -> features: `[B, 192, H, W]`; 32 x 32 images give `[B, 192, 8, 8]`.
    The 1x1 convolution to K maps, which ends the paper's third block, is `head=nin`. Pools round
    sizes up as Caffe does (32 -> 16 -> 8).

    Weights start from He's normal initialisation instead of the release's Gaussian of standard
    deviation 0.05: on images of unit variance the latter shrinks activations about thirtyfold on
    their way through, while He's keeps their scale.
    """

    def __init__(
        self, dropout: float = 0.5, maps: int | None = None, padding: Padding = "zeros"
    ) -> None:
        """Build the blocks.

        Args:
            dropout: probability after each of the two pools; the paper's is 0.5.
            maps: None, or K: a last 1x1 convolution to K maps, for `head=nin head.conv=false`.
            padding: zeros, or circular: beyond the border lies the opposite side.

        Raises:
            UserError: for a value out of range.
        """
        number("backbone.dropout", dropout, least=0, below=1, takes="a probability in [0, 1)")
        if maps is not None:
            whole("backbone.maps", maps, least=1, takes="null or the number of classes")
        check_padding(padding)
        pools: list[nn.Module] = [
            CircularPool(pool) if padding == "circular" else pool
            for pool in (
                nn.MaxPool2d(3, stride=2, ceil_mode=True),
                nn.AvgPool2d(3, stride=2, ceil_mode=True),
            )
        ]
        stages: dict[str, nn.Module] = {
            "block1": nn.Sequential(
                OrderedDict(
                    mlpconv=_mlpconv(3, 5, (192, 160, 96), padding),
                    pool=pools[0],
                    dropout=nn.Dropout(dropout),
                )
            ),
            "block2": nn.Sequential(
                OrderedDict(
                    mlpconv=_mlpconv(96, 5, (192, 192, 192), padding),
                    pool=pools[1],
                    dropout=nn.Dropout(dropout),
                )
            ),
            "block3": _mlpconv(192, 3, (192, 192), padding),
        }
        if maps is not None:
            stages["maps"] = nn.Conv2d(192, maps, 1)
        super().__init__("nin", stages)
        he_initialisation(self)


def _mlpconv(
    channels: int, kernel_size: int, widths: tuple[int, ...], padding: Padding
) -> nn.Sequential:
    """A convolution that keeps the size, then 1x1 convolutions, each with a ReLU (section 3.1)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for place, width in enumerate(widths, start=1):
        size = kernel_size if place == 1 else 1
        layers[f"conv{place}"] = nn.Conv2d(
            channels, width, size, padding=size // 2, padding_mode=padding
        )
        layers[f"relu{place}"] = nn.ReLU(inplace=True)
        channels = width
    return nn.Sequential(layers)
