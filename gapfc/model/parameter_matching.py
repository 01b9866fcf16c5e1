"""A head as large as asked for: its width is solved so that its parameter count matches a number.

Heads at one parameter count differ in how they pool, not in how much they can store.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gapfc import heads
from gapfc.errors import UserError
from gapfc.heads.pooled import PooledHead
from gapfc.measure.complexity import count_parameters
from gapfc.settings.nodes import construct, locate, plain
from gapfc.settings.paths import CONFIGS
from gapfc.validators import one_of, whole

KEYS = ("parameters", "match_parameters_of")

Node = dict[str, Any]
Count = Callable[[Node], int]


@dataclass(frozen=True)
class Match:
    """What was asked of a head's size, and what came out.

    Attributes:
        target: parameters asked for.
        parameters: of the head as solved.
        options: the widths that were solved, such as {"hidden": [12]}.
        source: where the target comes from, as it was typed.
    """

    target: int
    parameters: int
    options: Mapping[str, Any]
    source: str

    def __str__(self) -> str:
        off = self.parameters / self.target - 1
        close = "exactly" if not off else f"{abs(off):.2%} {'above' if off > 0 else 'below'}"
        widths = f" ({_words(self.options)})" if self.options else ""
        return f"{self.source}: {close} the {self.target:,} asked for{widths}"


def match(
    head: Mapping[str, Any], feature_shape: tuple[int, int, int], num_classes: int
) -> tuple[Node, Match | None]:
    """The head's config node with its width solved, if `head` asks for a size.

    `head.parameters=<n>` asks for n parameters, `head.match_parameters_of=<name>` for as many as
    the head of that name has on the same features, with the settings in its own file. The `widths`
    of the head are solved, by bisection on the constructor itself.

    Args:
        head: the node of the config.
        feature_shape: (C, H, W) of the features.
        num_classes: K.

    Raises:
        UserError: if both are asked for, or no width of this head comes near.
    """
    node = dict(head)
    wanted, like = (node.pop(key, None) for key in KEYS)
    if wanted is None and like is None:
        return node, None
    if wanted is not None and like is not None:
        raise UserError("head.parameters and head.match_parameters_of: set one of the two")

    def count(candidate: Node) -> int:
        # Spend neither memory nor random numbers on weights that nobody trains.
        with torch.device("meta"):
            module: nn.Module = construct(
                candidate, feature_shape=feature_shape, num_classes=num_classes
            )
        return count_parameters(module)[0]

    if like is not None:
        target, source = count(_shipped(like)), f"head.match_parameters_of={like}"
    else:
        target, source = whole("head.parameters", wanted, least=1), f"head.parameters={wanted}"
    options = _solve(node, target, count)
    solved = node | options
    reached = count(solved)
    if not options and reached != target:
        raise UserError(
            f"{source}: head={node.get('name')} has no width to solve for; it has {reached:,} "
            f"parameters, not {target:,}. Heads that have one: "
            f"{heads.names(lambda head: hasattr(head, 'widths'))}."
        )
    if reached > target and _is_smallest(options):
        raise UserError(
            f"{source}: head={node.get('name')} cannot be as small as {target:,} parameters. "
            f"The nearest is {reached:,}, at {_words(options)}."
        )
    return solved, Match(target, reached, options, source)


def _solve(node: Node, target: int, count: Count) -> Node:
    """The widths whose count comes nearest to `target`; none if the head has no width."""
    count(node)  # an invalid option shows before widths are tried
    options: Node = {}
    for width in _widths(node):
        options |= _widened(node | options, width, target, count)
    # Layers that the head was not given are left out where it is of the right size without them.
    without: Node = {
        key: [] for key, value in options.items() if isinstance(value, list) and not node.get(key)
    }
    if without and _off(node | without, target, count) <= _off(node | options, target, count):
        return without
    return options


def _widths(node: Node) -> list[Callable[[int], Node]]:
    """What the head says about its widths, or else one of gapfc's that takes the same options."""
    target = locate(node["_target_"])
    arguments = inspect.signature(target).parameters
    for head in (target, PooledHead, heads.SPPF):
        widths = head.widths(node) if hasattr(head, "widths") else []
        if widths and all(option in arguments for width in widths for option in width(1)):
            return widths
    return []


def _widened(node: Node, width: Callable[[int], Node], target: int, count: Count) -> Node:
    return width(_nearest(lambda n: count(node | width(n)), target))


def _nearest(count: Callable[[int], int], target: int) -> int:
    """The width n ≥ 1 whose count is nearest to `target`; `count` grows with n."""
    above = 1
    while count(above) < target:
        above *= 2
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (middle, above) if count(middle) < target else (below, middle)
    if below < 1:
        return above
    return below if target - count(below) <= count(above) - target else above


def _off(node: Node, target: int, count: Count) -> int:
    return abs(count(node) - target)


def _is_smallest(options: Mapping[str, Any]) -> bool:
    widths = [n for v in options.values() for n in (v if isinstance(v, list) else [v])]
    return bool(widths) and set(widths) == {1}


def _words(options: Mapping[str, Any]) -> str:
    return " ".join(f"head.{key}={value}" for key, value in options.items())


def _shipped(name: str) -> Node:
    """The node of configs/head/<name>.yaml."""
    files = {file.stem: file for file in sorted((CONFIGS / "head").glob("*.yaml"))}
    file = files[one_of("head.match_parameters_of", name, files)]
    node = plain(cast(DictConfig, OmegaConf.load(file)))
    return {key: value for key, value in node.items() if key not in KEYS}
