"""What a timm model does before its pooling, found by watching one image go through it.

Twelve hundred models of eighty families define `forward_features`, and no two families alike. What
a part is called says little; which parts run, in which order, and what they give says all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from gapfc.backbones.tokens import Grid
from gapfc.measure.complexity import evaluating

# First not square, by which height and width are told apart; of 32·n and of 28·n pixels, which
# nearly all networks and patches divide. Then what the model was made for.
_TRIED = ((128, 160), (112, 140))
# Sides of a patch, where the model does not say.
_SIDES = (16, 32, 14, 8, 28, 64, 4)


@dataclass(frozen=True)
class Call:
    """A part of a model that ran once: its name, itself, and the shape of the tensor it gave."""

    name: str
    part: nn.Module
    shape: tuple[int, ...]

    @property
    def weight(self) -> int:
        """How many parameters it has."""
        return sum(parameter.numel() for parameter in self.part.parameters())


@dataclass(frozen=True)
class Trace:
    """One run of `forward_features`, in evaluation mode.

    Attributes:
        images: `[1, 3, h, w]`, what went in.
        features: `[1, C, H, W]`: what came out, as a map.
        ran: names of the children of which anything ran.
        calls: children, and items of sequences and lists among them, that ran exactly once and gave
            a tensor (or a tuple that begins with one), in the order in which they ended.
        channels_last: whether maps are `[B, H, W, C]` inside.
        grid: of the tokens; None for a model of maps.
    """

    images: Tensor
    features: Tensor
    ran: frozenset[str]
    calls: tuple[Call, ...]
    channels_last: bool
    grid: Grid | None


class NoMap(Exception):
    """What a model makes of an image is no map, and cannot be made one."""


def trace(model: nn.Module, made_for: tuple[int, int]) -> Trace:
    """Watch images go through `model`, of timm. made_for: (h, w) of the images that it is for.

    Raises NoMap; and what the model does if it takes none of the sizes tried.
    """
    for size in (*(size for size in _TRIED if size[0] <= made_for[0]), made_for):
        images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
        try:
            return _watch(model, images)
        except NoMap:
            raise
        except Exception:  # a model that takes one size says so in its own way
            if size == made_for:
                raise
    raise AssertionError("made_for is tried last")


@contextmanager
def varied_constants(model: nn.Module) -> Iterator[None]:
    """Inside, no parameter of `model` has one value throughout; outside, all are as they were.

    A scale of zero or an empty table of biases would hide that a part is missing.
    """
    noise = torch.Generator().manual_seed(0)
    changed = [
        (parameter, parameter.flatten()[0].item())
        for parameter in model.parameters()
        if parameter.numel() and parameter.is_floating_point()
        if bool((parameter == parameter.flatten()[0]).all())
    ]
    with torch.no_grad():
        for parameter, _ in changed:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=noise))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in changed:
                parameter.fill_(value)


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Children of `model` by name, and the items of those that are plain sequences or lists."""
    for name, child in model.named_children():
        yield name, child
        if type(child) in (nn.Sequential, nn.ModuleList):
            for inner, part in child.named_children():
                yield f"{name}.{inner}", part
                if type(part) is nn.ModuleList:  # Twins' blocks
                    yield from ((f"{name}.{inner}.{n}", p) for n, p in part.named_children())


def _watch(model: nn.Module, images: Tensor) -> Trace:
    ran: list[tuple[str, nn.Module, tuple[int, ...] | None]] = []

    def note(name: str, part: nn.Module, output: object) -> None:
        if isinstance(output, tuple) and output:  # as MViT's, whose blocks pass sizes on
            output = output[0]
        ran.append((name, part, tuple(output.shape) if isinstance(output, Tensor) else None))

    hooks = [
        part.register_forward_hook(lambda part, _, output, name=name: note(name, part, output))
        for name, part in _parts(model)
    ]
    try:
        with evaluating(model), torch.no_grad():
            features = cast(Any, model).forward_features(images)
    finally:
        for hook in hooks:
            hook.remove()
    names = [name for name, _, _ in ran]
    calls = tuple(
        Call(name, part, shape)
        for name, part, shape in ran
        if shape is not None and names.count(name) == 1
    )
    if not isinstance(features, Tensor) or features.ndim not in (3, 4):
        raise NoMap
    size = (images.shape[2], images.shape[3])
    if features.ndim == 3:
        grid = _grid(model, features.shape[1], size)
        return Trace(
            images,
            grid.map(features, size),
            frozenset(name.partition(".")[0] for name in names),
            calls,
            False,
            grid,
        )
    last = str(getattr(model, "output_fmt", "NCHW")).endswith("NHWC")
    map_ = features.permute(0, 3, 1, 2) if last else features
    return Trace(
        images, map_, frozenset(name.partition(".")[0] for name in names), calls, last, None
    )


def _grid(model: nn.Module, tokens: int, size: tuple[int, int]) -> Grid:
    told = getattr(model, "feature_info", None) or [{}]
    sides = [told[-1].get("reduction")] if isinstance(told, list) else []
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    sides += list(patch) if isinstance(patch, tuple) else [patch]
    sides = [side for side in (*sides, *_SIDES) if isinstance(side, int)]
    grid = Grid.find(tokens, size, getattr(model, "num_prefix_tokens", None), sides)
    if grid is None:
        raise NoMap
    return grid
