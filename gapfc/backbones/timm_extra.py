"""The door to timm, which is an extra, gapfc[timm], and takes seconds to import."""

from importlib.util import find_spec

from torch import nn

from gapfc.errors import UserError


def build_timm(architecture: str, weights: str | None = None, stem: str = "imagenet") -> nn.Module:
    """A timm model up to its last feature map: images `[B, 3, h, w]` to features `[B, C, H, W]`.

    Where its parts, one after another, are the model exactly, it is a `Stages`, of which a stage is
    all parts of one resolution, or a transformer's block. Otherwise timm runs it, and `stages` are
    parts of it. Tokens that stand for no place, class tokens and registers, are not in the map.

    Args:
        architecture: of `timm.list_models()`, with or without the tag of weights: resnet50.a1_in1k.
        weights: None; DEFAULT, timm's own for this name; or the path of a .safetensors or .pth
            file of the model's state dict, with or without its classifier. With weights, images
            are brought from ImageNet's mean and deviation, which photos have, to those that timm
            names for the weights.
        stem: imagenet, as published; or small, see `gapfc.backbones.Torchvision`.

    Raises:
        UserError: without timm; for an unknown name, a model without a feature map, weights that
            are unavailable or do not fit, and a stem that cannot be built.
    """
    if find_spec("timm") is None:
        raise UserError('backbone=timm needs timm: pip install "gapfc[timm]"')
    from gapfc.backbones.timm_backbone import build

    return build(architecture, weights, stem)
