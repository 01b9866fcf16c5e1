"""A timm model cut into stages, where running them one after another is the model exactly."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.ops.misc import Permute

from gapfc.backbones.timm_trace import Call, Trace
from gapfc.backbones.tokens import DropPrefix, Grid, TokenBlock, to_rows
from gapfc.measure.complexity import evaluating

Cut = OrderedDict[str, nn.Module]


def cut(model: nn.Module, seen: Trace) -> Cut | None:
    """`model` as stages by name, whose last gives the map `[B, C, H, W]`; None if it is no chain.

    Of maps, a stage is all parts of one resolution; of tokens, a block. What the stages give is
    compared with what `model` gave (`seen`). Only if this is None, `model` is as it was.
    """
    taken = {name: getattr(model, name, None) for name in ("blocks", "norm")}
    made = _maps(seen) if seen.grid is None else _tokens(model, seen.grid)
    if made is None:
        return None
    if _equal(nn.Sequential(made), seen):
        return made
    if seen.grid is not None:
        for name, module in taken.items():
            setattr(model, name, module)
    return None


def names_of_stages(model: nn.Module, seen: Trace) -> tuple[str, ...]:
    """Parts of a model that is no chain, as its stages.

    Of maps, the largest part of each resolution; of tokens, the blocks. What only makes tokens
    that the map has not, as CaiT's last blocks do, does not count.
    """
    reached = _reached(model, seen)
    calls = [c for c in seen.calls if any(p in reached for p in c.part.parameters())]
    if seen.grid is not None:
        blocks = [call.name for call in _items(calls) if "." in call.name]
        return tuple(blocks or [call.name for call in calls[-1:]])
    maps = [call for call in calls if len(call.shape) == 4]
    areas = {call.name: _area(call, seen.channels_last) for call in maps}
    # A sequence stands for its items, unless one makes the map smaller within it.
    whole = {
        call.name
        for call in maps
        if len({area for name, area in areas.items() if name.startswith(f"{call.name}.")}) == 1
    }
    opened = {call.name.rpartition(".")[0] for call in maps} - whole
    groups: list[list[Call]] = []
    for call in maps:
        if call.name in opened or call.name.rpartition(".")[0] in whole:
            continue
        if not groups or areas[call.name] < areas[groups[-1][0].name]:
            groups.append([])
        groups[-1].append(call)
    return tuple(max(group, key=lambda call: call.weight).name for group in groups)


def _reached(model: nn.Module, seen: Trace) -> set[Tensor]:
    """The parameters on which the map depends."""
    parameters = list(model.parameters())
    with evaluating(model), torch.enable_grad():
        features: Tensor = cast(Any, model).forward_features(seen.images)
        if seen.grid is not None:
            features = features[:, seen.grid.prefix :]
        gradients = torch.autograd.grad(features.square().sum(), parameters, allow_unused=True)
    found = zip(parameters, gradients, strict=True)
    return {parameter for parameter, gradient in found if gradient is not None and gradient.any()}


def _items(calls: Sequence[Call]) -> list[Call]:
    """`calls` without sequences, of which the items are among them."""
    names = {call.name.rpartition(".")[0] for call in calls}
    return [call for call in calls if call.name not in names]


def _maps(seen: Trace) -> Cut | None:
    """A chain of parts that pass maps on: a stage begins with each part that makes them smaller."""
    groups: list[list[tuple[str, nn.Module]]] = []
    area = 0
    for call in _items(seen.calls):
        if len(call.shape) != 4:
            return None
        smaller = _area(call, seen.channels_last) < area
        area = _area(call, seen.channels_last)
        if not groups or smaller:
            groups.append([])
        groups[-1].append((call.name.replace(".", "_"), call.part))
    if not groups:
        return None
    # So that the last stage can always be trained on its own.
    while len(groups) > 1 and not any(True for _, part in groups[-1] for _ in part.parameters()):
        tail = groups.pop()
        groups[-1].extend(tail)
    if seen.channels_last:
        for number, group in enumerate(groups):
            group.append(("to_channels_first", Permute([0, 3, 1, 2])))
            if number:
                group.insert(0, ("to_channels_last", Permute([0, 2, 3, 1])))
    return OrderedDict(
        (f"stage{number}", nn.Sequential(OrderedDict(group)))
        for number, group in enumerate(groups, start=1)
    )


class _Embed(nn.Module):
    """All that a transformer does before its first block.

    images: `[B, 3, h, w]` -> `[B, C, r + H, W]`, as `to_rows` makes them.
    """

    def __init__(self, network: nn.Module, grid: Grid) -> None:
        """`network`: the whole model, of which blocks and what follows them were taken out."""
        super().__init__()
        self.network = network
        self.grid = grid

    def forward(self, images: Tensor) -> Tensor:
        """images: `[B, 3, h, w]` -> `[B, C, r + H, W]`."""
        tokens: Tensor = cast(Any, self.network).forward_features(images)
        size = self.grid.of(tokens.shape[1], (images.shape[2], images.shape[3]))
        if size is None:
            raise RuntimeError(f"{tokens.shape[1]} tokens are no grid of the image")
        return to_rows(tokens, self.grid.prefix, size)


def _tokens(model: nn.Module, grid: Grid) -> Cut | None:
    """A transformer whose blocks take tokens and nothing else."""
    blocks, norm = getattr(model, "blocks", None), getattr(model, "norm", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not isinstance(norm, nn.Module):
        return None
    if not len(blocks):
        return None
    stages: Cut = OrderedDict(embed=_Embed(model, grid))
    for number, block in enumerate(blocks, start=1):
        stages[f"block{number}"] = TokenBlock(block, grid.prefix)
    name, block = stages.popitem()
    end = OrderedDict(
        block=block, norm=TokenBlock(norm, grid.prefix), drop_prefix=DropPrefix(grid.prefix)
    )
    stages[name] = nn.Sequential(end)
    # forward_features then does what comes before them.
    model.blocks, model.norm = nn.Sequential(), nn.Identity()
    return stages


def _equal(stages: nn.Module, seen: Trace) -> bool:
    try:
        with evaluating(stages), torch.no_grad():
            features: Tensor = stages(seen.images)
    except Exception:  # parts that are called otherwise than they expect fail in their own way
        return False
    scale = seen.features.abs().max()
    return (
        features.shape == seen.features.shape
        and bool(scale.isfinite())
        and bool((features - seen.features).abs().max() <= 1e-4 * scale)
    )


def _area(call: Call, channels_last: bool) -> int:
    """Cells of the map that a part gave."""
    _, first, second, third = call.shape
    return first * second if channels_last else second * third
