"""The spatial pools a ConvNet can have, with every option torch gives them."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

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
_ONLY = {"dilation": "max", "count_include_pad": "avg", "divisor_override": "avg"}


def build_pool(options: Mapping[str, Any]) -> nn.Module:
    """A max or average pool, `[B, C, H, W]` -> `[B, C, H', W']`; sizes are n or [height, width].

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
    one_of("backbone.pool.kind", kind, ("max", "avg"))
    for name, owner in _ONLY.items():
        if owner != kind and pool[name] != _DEFAULTS[name]:
            raise UserError(
                f"backbone.pool.{name}={pool[name]}: only {owner} pools have it, and "
                f"backbone.pool.kind is {kind}. Leave it at {as_typed(_DEFAULTS[name])}."
            )
    kernel = _pair(pool, "kernel_size", 1)
    stride = kernel if pool["stride"] is None else _pair(pool, "stride", 1)
    padding = _pair(pool, "padding", 0)
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        raise UserError(
            f"backbone.pool.padding={pool['padding']}: at most half of "
            f"backbone.pool.kernel_size={pool['kernel_size']}."
        )
    for name in ("ceil_mode", "count_include_pad"):
        flag(f"backbone.pool.{name}", pool[name])
    if kind == "max":
        return nn.MaxPool2d(
            kernel, stride, padding, _pair(pool, "dilation", 1), ceil_mode=pool["ceil_mode"]
        )
    divisor = pool["divisor_override"]
    if divisor is not None and not (is_whole(divisor) and divisor != 0):
        refuse("backbone.pool.divisor_override", "null or a whole number other than 0", divisor)
    return nn.AvgPool2d(
        kernel, stride, padding, pool["ceil_mode"], pool["count_include_pad"], divisor
    )


def _pair(pool: Mapping[str, Any], name: str, least: int) -> tuple[int, int]:
    value = pool[name]
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    pair = pair * 2 if len(pair) == 1 else pair
    if len(pair) != 2 or not all(is_whole(n) and n >= least for n in pair):
        takes = f"a whole number of at least {least}, or [height, width] of them"
        refuse(f"backbone.pool.{name}", takes, value)
    return pair
