"""The spatial pools a ConvNet can have, with every option torch gives them."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gapfc.backbones.padding import CircularPool, Padding
from gapfc.errors import UserError
from gapfc.validators import as_typed, flag, is_whole, one_of, refuse

_DEFAULTS: dict[str, Any] = {
    "kind": "max",
    "kernel_size": 2,
    "stride": None,
    "padding": 0,
    "dilation": 1,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
}
_ONLY = {
    "padding": ("max", "avg"),
    "dilation": ("max",),
    "ceil_mode": ("max", "avg"),
    "count_include_pad": ("avg",),
    "divisor_override": ("avg",),
}


class Crop(nn.Module):
    """What is left of a map when its sides are cut to multiples of `stride`: whole windows only.

    `[B, C, H, W]` -> `[B, C, H', W']`. In front of a convolution with that stride it gives the map
    size of a pool with that window.
    """

    def __init__(self, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """features: `[B, C, H, W]` -> `[B, C, H', W']`."""
        bottom, right = (n % s for n, s in zip(features.shape[-2:], self.stride, strict=True))
        return functional.pad(features, (0, -right, 0, -bottom))


def build_pool(options: Mapping[str, Any], padding: Padding = "zeros") -> nn.Module:
    """A max or average pool, `[B, C, H, W]` -> `[B, C, H', W']`; sizes are n or [height, width].

    Of kind none, what stands in front of a convolution that has the pool's stride.
    padding: of the backbone, zeros or circular.

    Raises:
        UserError: for an unknown option, a value out of range, or a non-default option that this
            kind of pool does not have.
    """
    unknown = sorted(set(options) - set(_DEFAULTS))
    if unknown:
        raise UserError(
            f"backbone.pool.{unknown[0]} is not an option. It takes {', '.join(_DEFAULTS)}."
        )
    pool = {**_DEFAULTS, **options}
    kind = pool["kind"]
    one_of("backbone.pool.kind", kind, ("max", "avg", "none"))
    for name, owners in _ONLY.items():
        if kind not in owners and pool[name] != _DEFAULTS[name]:
            raise UserError(
                f"backbone.pool.{name}={as_typed(pool[name])}: only {' and '.join(owners)} pools "
                f"have it, and backbone.pool.kind is {kind}. "
                f"Leave it at {as_typed(_DEFAULTS[name])}."
            )
    kernel = _pair(pool, "kernel_size", 1)
    stride = kernel if pool["stride"] is None else _pair(pool, "stride", 1)
    if kind == "none":
        return Crop(stride)
    around = _pair(pool, "padding", 0)
    if any(2 * pad > size for pad, size in zip(around, kernel, strict=True)):
        raise UserError(
            f"backbone.pool.padding={pool['padding']}: at most half of "
            f"backbone.pool.kernel_size={pool['kernel_size']}."
        )
    for name in ("ceil_mode", "count_include_pad"):
        flag(f"backbone.pool.{name}", pool[name])
    divisor = pool["divisor_override"]
    if divisor is not None and not (is_whole(divisor) and divisor != 0):
        refuse("backbone.pool.divisor_override", "null or a whole number other than 0", divisor)
    built = (
        nn.MaxPool2d(
            kernel, stride, around, _pair(pool, "dilation", 1), ceil_mode=pool["ceil_mode"]
        )
        if kind == "max"
        else nn.AvgPool2d(
            kernel, stride, around, pool["ceil_mode"], pool["count_include_pad"], divisor
        )
    )
    return CircularPool(built) if padding == "circular" else built


def _pair(pool: Mapping[str, Any], name: str, least: int) -> tuple[int, int]:
    value = pool[name]
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    pair = pair * 2 if len(pair) == 1 else pair
    if len(pair) != 2 or not all(is_whole(n) and n >= least for n in pair):
        takes = f"a whole number of at least {least}, or [height, width] of them"
        refuse(f"backbone.pool.{name}", takes, value)
    return pair
