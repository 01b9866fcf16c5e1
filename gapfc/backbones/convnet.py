"""A plain convolutional network whose pooling is configuration."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from gapfc.backbones.initialisation import he_initialisation
from gapfc.backbones.padding import Padding, check_padding
from gapfc.backbones.pooling import Crop, build_pool
from gapfc.backbones.stages import Stages
from gapfc.errors import UserError
from gapfc.validators import is_count, list_of


class ConvNet(Stages):
    """Stages of convolution that keeps the size, batch norm, ReLU and, after some of them, a pool.

    images: `[B, 3, h, w]` -> features: `[B, widths[-1], H, W]`; by default 32 x 32 images give
    `[B, 512, 4, 4]`. Convolutions start from He's normal initialisation (arXiv:1502.01852, eq. 10),
    so that the network also trains without batch norm.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        batch_norm: bool = True,
        pool_after: Sequence[int] = (1, 2, 3),
        pool: Mapping[str, Any] | None = None,
        padding: Padding = "zeros",
        kernel_size: int = 3,
    ) -> None:
        """Build the stages.

        Args:
            widths: channels of each stage.
            batch_norm: a batch norm after each convolution (which then has no bias).
            pool_after: the stages, counted from 1, that end with a pool.
            pool: its kind (max, avg or none) and options, see `build_pool`. For none the stage's
                convolution has the pool's stride instead (Springenberg et al. 2015,
                arXiv:1412.6806, sec. 2): the same map sizes and the same number of parameters.
            padding: zeros, or circular: beyond the border lies the opposite side.
            kernel_size: side of the convolutions' windows, an odd number.

        Raises:
            UserError: for a value out of range; in `forward`, for images too small to pool.
        """
        list_of("backbone.widths", widths, is_count, "a list of positive widths, such as [64, 128]")
        list_of(
            "backbone.pool_after",
            pool_after,
            lambda n: is_count(n) and n <= len(widths) and list(pool_after).count(n) == 1,
            f"stages from 1 to {len(widths)} (as many as backbone.widths has), each once, or [] "
            "for no pool",
            empty=True,
        )
        check_padding(padding)
        if not is_count(kernel_size) or kernel_size % 2 == 0:
            raise UserError(
                f"backbone.kernel_size takes an odd number, such as 5; got {kernel_size!r}"
            )
        build_pool(pool or {})  # a wrong option is an error even where no stage pools
        stages: dict[str, nn.Module] = {}
        previous = 3
        for number, width in enumerate(widths, start=1):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            smaller = build_pool(pool or {}, padding) if number in pool_after else None
            stride = (1, 1)
            if isinstance(smaller, Crop):
                layers["crop"], stride, smaller = smaller, smaller.stride, None
            layers["conv"] = nn.Conv2d(
                previous,
                width,
                kernel_size,
                stride,
                padding=kernel_size // 2,
                bias=not batch_norm,
                padding_mode=padding,
            )
            if batch_norm:
                layers["norm"] = nn.BatchNorm2d(width)
            layers["relu"] = nn.ReLU(inplace=True)
            if smaller is not None:
                layers["pool"] = smaller
            stages[f"stage{number}"] = nn.Sequential(layers)
            previous = width
        super().__init__("convnet", stages)
        he_initialisation(self)
