"""Backbones: images `[B, 3, h, w]` to feature maps `[B, C, H, W]`, as named stages."""

from typing import TYPE_CHECKING, Any

from gapfc.backbones.convnet import ConvNet
from gapfc.backbones.nin import NIN
from gapfc.backbones.resnet_cifar import ResNetCifar
from gapfc.backbones.timm_extra import build_timm

if TYPE_CHECKING:
    from gapfc.backbones.torchvision_backbone import Torchvision

__all__ = ["NIN", "ConvNet", "ResNetCifar", "Torchvision", "build_timm"]


def __getattr__(name: str) -> Any:
    # torchvision's models take a second to import, which the other backbones need not wait for.
    if name == "Torchvision":
        from gapfc.backbones.torchvision_backbone import Torchvision

        return Torchvision
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
