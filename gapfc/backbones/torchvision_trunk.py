"""The part of a torchvision model before its pooling, cut into stages."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet, MaxVit, SwinTransformer, VisionTransformer
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2
from torchvision.ops.misc import Permute

from gapfc.backbones.stages import Stages
from gapfc.errors import UserError
from gapfc.measure.complexity import evaluating

# Children of torchvision's models that run after the last feature map, or only while training.
_AFTER = frozenset({"avgpool", "dropout", "flatten", "fc", "head", "classifier"}) | frozenset(
    {"aux1", "aux2", "AuxLogits"}
)
# Children that only group the trunk's parts.
_GROUPS = frozenset({"features", "layers", "stem", "trunk_output", "blocks"})
_SMALL_IMAGE, _SMALL_MAP = 32, 4

Part = tuple[str, nn.Module]


def trunk(model: nn.Module, architecture: str) -> OrderedDict[str, nn.Module]:
    """The parts of a torchvision model up to its last feature map, by dotted name, in order.

    Raises:
        UserError: for a vision transformer, whose tokens are no feature map.
    """
    if isinstance(model, VisionTransformer):
        raise UserError(
            f"backbone.name={architecture}: a vision transformer has tokens, but no feature map "
            "[B, C, H, W] for a head to pool. Transformers that have one: swin_t, swin_v2_t, "
            "maxvit_t; or take convnext_tiny or resnet50."
        )
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in model.named_children():
        if name in _GROUPS:
            parts.update((f"{name}.{inner}", part) for inner, part in child.named_children())
        elif name not in _AFTER:
            parts[name] = child
    if isinstance(model, DenseNet):
        parts["relu"] = nn.ReLU()  # a function in torchvision's forward
    return parts


def into_stages(
    parts: OrderedDict[str, nn.Module], channels_last: bool
) -> OrderedDict[str, OrderedDict[str, nn.Module]]:
    """Group parts into stage1, stage2, …: a stage begins with each part that reduces the size.

    So a stage is all layers of one resolution, regardless of what the family calls its own stages.
    Parts without parameters at the end (VGG's last pool) join the stage before them, so that the
    last stage can always be trained on its own. `channels_last`: for parts that pass `[B, H, W, C]`
    on, as Swin's do: a stage's output is still `[B, C, H, W]`.
    """
    groups: list[list[Part]] = []
    for name, part in parts.items():
        if not groups or _shrinks(part):
            groups.append([])
        groups[-1].append((name.replace(".", "_"), part))
    while len(groups) > 1 and not any(True for _, part in groups[-1] for _ in part.parameters()):
        tail = groups.pop()
        groups[-1].extend(tail)
    if channels_last:
        for before, after in pairwise(groups):
            before.append(("to_channels_first", Permute([0, 3, 1, 2])))
            after.insert(0, ("to_channels_last", Permute([0, 2, 3, 1])))
    return OrderedDict(
        (f"stage{number}", OrderedDict(group)) for number, group in enumerate(groups, start=1)
    )


def is_channels_last(model: nn.Module) -> bool:
    """Whether the model's parts pass `[B, H, W, C]` on to each other."""
    return isinstance(model, SwinTransformer)


def fixed_size(model: nn.Module) -> int | None:
    """The one image height and width that the model takes, or None if it takes any."""
    return 224 if isinstance(model, MaxVit) else None


def keep_small_images(backbone: Stages) -> None:
    """Let 32 x 32 images give a map of at least 4 x 4, by undoing the first reductions of size.

    Part after part from the input on, strides become 1 and pools vanish, until the map is large
    enough. Kernels keep their shape, so that pretrained weights still fit (for a ResNet: the 7x7
    convolution has stride 1, and there is no max pool).

    Raises:
        UserError: if undoing every such part is not enough, or a part's reduction cannot be undone.
    """
    parts = [
        (stage, name, part)
        for stage in backbone.children()
        for name, part in stage.named_children()
        if _shrinks(part)
    ]
    while _small_map(backbone) < _SMALL_MAP:
        if not parts or isinstance(parts[0][2], PatchMerging | PatchMergingV2):
            raise UserError(
                f"backbone.stem=small: {backbone.label} cannot be made to keep a "
                f"{_SMALL_MAP} x {_SMALL_MAP} map of {_SMALL_IMAGE} x {_SMALL_IMAGE} images. "
                "Set backbone.stem=imagenet and a larger dataset.image_size, or another backbone."
            )
        stage, name, part = parts.pop(0)
        if isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
            stage.add_module(name, nn.Identity())
        else:
            _undo_strides(part)


def _undo_strides(part: nn.Module) -> None:
    for module in list(part.modules()):
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d | nn.AvgPool2d) and _shrinks(child):
                module.add_module(name, nn.Identity())


def _shrinks(part: nn.Module) -> bool:
    return any(
        isinstance(module, PatchMerging | PatchMergingV2)
        or (
            isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)
            and module.stride not in (1, (1, 1))
        )
        for module in part.modules()
    )


def _small_map(backbone: Stages) -> int:
    """The shorter side of the map that a small image gives; 0 if nothing is left of it."""
    try:
        with evaluating(backbone), torch.no_grad():
            features: Tensor = backbone(torch.zeros(1, 3, _SMALL_IMAGE, _SMALL_IMAGE))
    except UserError:
        return 0
    return min(features.shape[-2:])
