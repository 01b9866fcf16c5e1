"""Weights of the package efficientnet_pytorch (github.com/lukemelas/EfficientNet-PyTorch)."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

_PARTS = {
    "_expand_conv": "conv_pw",
    "_depthwise_conv": "conv_dw",
    "_project_conv": "conv_pwl",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_bn0": "bn1",
    "_bn1": "bn2",
    "_bn2": "bn3",
}
# A block that does not expand its channels: timm counts what it has.
_NARROW = {**_PARTS, "_project_conv": "conv_pw", "_bn1": "bn1", "_bn2": "bn2"}
_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")


def as_timm(state: Mapping[str, Tensor], depths: Sequence[int]) -> dict[str, Tensor]:
    """`state` under the names of timm's EfficientNet, whose stages have so many blocks (`depths`).

    Unchanged if it does not have efficientnet_pytorch's names.
    """
    if "_blocks.0._depthwise_conv.weight" not in state:
        return dict(state)
    places = [f"blocks.{stage}.{i}" for stage, depth in enumerate(depths) for i in range(depth)]
    wide = {key.split(".")[1] for key in state if "._expand_conv." in key}
    named = {}
    for key, value in state.items():
        block = _BLOCK.fullmatch(key)
        if block is None:
            part, _, end = key.partition(".")
            named[f"{_OUTER.get(part, part)}.{end}"] = value
        elif int(block[1]) < len(places):
            part = (_PARTS if block[1] in wide else _NARROW).get(block[2], block[2])
            named[f"{places[int(block[1])]}.{part}.{block[3]}"] = value
        else:
            named[key] = value
    return named
