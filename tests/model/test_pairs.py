"""Every backbone under every head: forward and backward at two sizes, or the error it must give."""

from functools import cache

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from gapfc.errors import UserError
from gapfc.model.build import build, feature_shape
from gapfc.settings.compose import Composer

COMPOSER = Composer([])
GROUPS = COMPOSER.groups()
CLASSES = 3

# The two sizes each backbone is tried at: the one it is built for, and one that is not square.
# At both, the map is at least 3×3 and the second map differs from the first.
SIZES = {
    "convnet": ((24, 24), (24, 40)),
    "nin": ((16, 16), (16, 28)),
    "resnet_cifar": ((16, 16), (16, 28)),
    "alexnet": ((127, 127), (127, 191)),
    "squeezenet1_1": ((63, 63), (63, 95)),
}
TORCHVISION = ((96, 96), (96, 128))
PATCHES = {
    "dinov2_vits14": ((112, 112), (112, 140)),
    "dinov2_vits14_reg4": ((112, 112), (112, 140)),
    "dinov3_vits16": ((96, 96), (96, 128)),
}
OF_TIMM = {"timm", *PATCHES}
FAST = {"convnet", "resnet_cifar", "squeezenet1_1"}
OPTIONS = {"convnet": ["backbone.widths=[8,8,8,12]"]}


PAIRS = [
    pytest.param(backbone, head, marks=() if backbone in FAST else pytest.mark.slow)
    for backbone in GROUPS["backbone"]
    for head in GROUPS["head"]
]


@cache
def plain(backbone, head, *options):
    overrides = [f"backbone={backbone}", f"head={head}", *OPTIONS.get(backbone, ()), *options]
    return OmegaConf.to_container(COMPOSER.compose("train", overrides), resolve=True)


def forward_and_backward(model, size):
    """Logits of two random images and the gradient of every parameter, all of them checked."""
    model.train()
    model.zero_grad()
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    logits = model(images)
    assert logits.shape == (2, CLASSES)
    assert logits.isfinite().all()
    nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} is not reached"
        assert parameter.grad.isfinite().all(), name
    for child in (model.backbone, model.head):
        assert any(p.grad.abs().sum() > 0 for p in child.parameters())


@pytest.mark.parametrize(("backbone", "head"), PAIRS)
def test_pair(backbone, head):
    if backbone in OF_TIMM:
        pytest.importorskip("timm", reason="needs timm: gapfc[timm]")
    built_for, other = {**SIZES, **PATCHES}.get(backbone, TORCHVISION)
    model = build(plain(backbone, head), CLASSES, built_for)
    first, second = (feature_shape(model.backbone, size) for size in (built_for, other))
    assert min(first[1:]) >= 3
    assert second[1:] != first[1:]
    assert second[1] != second[2]
    forward_and_backward(model, built_for)
    if head == "fc":
        assert not model.head.accepts_any_size
        with pytest.raises(UserError, match=r"head=fc was built for.*attn, gap, gapgmp, gem"):
            model(torch.zeros(2, 3, *other))
    else:
        assert model.head.accepts_any_size
        forward_and_backward(model, other)


@pytest.mark.parametrize("backbone", sorted(FAST))
def test_fixed_windows_larger_than_the_map_are_refused(backbone):
    size = (32, 32) if backbone in ("resnet18", "squeezenet1_1") else (8, 8)
    with pytest.raises(UserError, match=r"head.windows=.* needs a feature map of at least 3×3"):
        build(plain(backbone, "spp_fixed"), CLASSES, size)


def test_fixed_windows_are_checked_at_every_size():
    model = build(plain("nin", "spp_fixed"), CLASSES, (16, 16))
    with pytest.raises(UserError, match="this one is 2×4"):
        model(torch.zeros(1, 3, 8, 16))


@pytest.mark.parametrize("backbone", sorted(FAST))
def test_own_maps_need_one_a_class(backbone):
    size = SIZES.get(backbone, TORCHVISION)[0]
    with pytest.raises(UserError, match=rf"head.conv=false .* one per class: {CLASSES}; the backb"):
        build(plain(backbone, "nin", "head.conv=false"), CLASSES, size)


@pytest.mark.parametrize(
    ("backbone", "option"),
    [("nin", f"backbone.maps={CLASSES}"), ("convnet", f"backbone.widths=[8,8,8,{CLASSES}]")],
)
def test_own_maps_where_the_backbone_has_them(backbone, option):
    model = build(plain(backbone, "nin", "head.conv=false", option), CLASSES, (16, 16))
    assert not list(model.head.parameters())
    for size in ((16, 16), (16, 28)):
        images = torch.randn(2, 3, *size)
        logits = model(images)
        assert logits.shape == (2, CLASSES)
        nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
        assert all(p.grad is not None for p in model.backbone.parameters())


@pytest.mark.parametrize("backbone", GROUPS["backbone"])
def test_every_backbone_config_names_itself(backbone):
    own_name = {"torchvision": "resnet18", "timm": "resnet10t"}.get(backbone, backbone)
    assert plain(backbone, "gap")["backbone"]["name"] == own_name


@pytest.mark.parametrize("head", GROUPS["head"])
def test_every_head_config_names_itself(head):
    assert plain("convnet", head)["head"]["name"] == head
