"""Backbone and head, built to fit each other."""

import logging
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from gapfc.errors import UserError
from gapfc.measure.complexity import evaluating
from gapfc.model.classifier import Classifier
from gapfc.model.parameter_matching import match
from gapfc.settings.nodes import construct
from gapfc.validators import one_of

log = logging.getLogger(__name__)


def build(
    config: Mapping[str, Any], num_classes: int, image_size: tuple[int, int], seed: int = 0
) -> Classifier:
    """Build the classifier that `config.backbone` and `config.head` describe.

    Backbone and head are seeded apart, so that two heads with one seed start from the same
    backbone weights, however many random numbers either draws. The global random state is left
    seeded with `seed`.

    Args:
        config: with the nodes `backbone` and `head`.
        num_classes: K.
        image_size: (h, w) of the images, from which the head's width follows.
        seed: of the initial weights.

    Raises:
        UserError: if the two don't fit, or nothing would be trained.
    """
    torch.manual_seed(seed)
    backbone: nn.Module = construct(config["backbone"])
    shape = feature_shape(backbone, image_size)
    if shape[1:] == (1, 1):
        log.warning(
            "The feature map is 1×1 at image size %d×%d: every head is fully connected there."
            " A larger dataset.image_size, or fewer strides in the backbone, makes them differ.",
            *image_size,
        )
    node, matched = match(config["head"], shape, num_classes)
    torch.manual_seed(seed + 1)
    head = construct(node, feature_shape=shape, num_classes=num_classes)
    model = Classifier(backbone, head, matched)
    model.freeze(_frozen_modules(backbone, config["backbone"].get("trainable", "all")))
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError(
            "Nothing would be trained: the backbone is frozen, and head="
            f"{config['head'].get('name')} has no parameters as it is set. "
            "Set backbone.trainable=all or last (of gapfc transfer: protocol=finetune or "
            "last_block), or take a head with parameters."
        )
    torch.manual_seed(seed)
    return model


def rebuild(
    config: Mapping[str, Any], num_classes: int, image_size: tuple[int, int], seed: int = 0
) -> Classifier:
    """The network alone, as `build` gives it: random weights, nothing fetched, nothing frozen.

    It takes the weights of a run of `config`, or stands for the network untrained. In evaluation
    mode.
    """
    backbone = {**config["backbone"], "trainable": "all"}
    if "weights" in backbone:
        backbone["weights"] = None
    nodes = {"backbone": backbone, "head": config["head"]}
    return build(nodes, num_classes, image_size, seed).eval()


def feature_shape(backbone: nn.Module, image_size: tuple[int, int]) -> tuple[int, int, int]:
    """(C, H, W) of the features that `backbone` gives for images of `image_size` = (h, w).

    Raises UserError if the images are too small for it.
    """
    features = dry_run(backbone, image_size)
    if features.ndim != 4:
        raise UserError(
            f"A backbone maps images [B, 3, h, w] to features [B, C, H, W]; "
            f"{type(backbone).__name__} gave {list(features.shape)}."
        )
    channels, height, width = features.shape[1:]
    return channels, height, width


def dry_run(module: nn.Module, image_size: tuple[int, int]) -> Tensor:
    """The output of `module` for one black image `[1, 3, h, w]` of `image_size` = (h, w).

    In evaluation mode, on the CPU; training mode and random state are as before.
    """
    with evaluating(module), torch.no_grad():
        return cast(Tensor, module(torch.zeros(1, 3, *image_size)))


def _frozen_modules(backbone: nn.Module, trainable: str) -> list[nn.Module]:
    one_of("backbone.trainable", trainable, ("all", "none", "last"))
    if trainable == "all":
        return []
    if trainable == "none":
        return [backbone]
    # Everything but the last stage and what lies in it; a child that contains the last stage is
    # opened and its other children are taken.
    stages = cast(tuple[str, ...], backbone.stages)
    return _others(backbone, backbone.get_submodule(stages[-1]))


def _others(module: nn.Module, kept: nn.Module) -> list[nn.Module]:
    others = []
    # What an opened module holds itself has no module to freeze it by: a timm model's class token.
    for parameter in module.parameters(recurse=False):
        parameter.requires_grad_(False)
    for child in module.children():
        if child is kept:
            continue
        inside = any(descendant is kept for descendant in child.modules())
        others += _others(child, kept) if inside else [child]
    return others
