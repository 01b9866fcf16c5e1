"""What is frozen and what is trained: together the whole network, apart the same numbers."""

import pytest
import torch

from gapfc.backbones import ConvNet
from gapfc.heads import GAP
from gapfc.model.classifier import BLOCK, Classifier, Upper


def classifier():
    torch.manual_seed(0)
    backbone = ConvNet(widths=[8, 16, 24], pool_after=[1, 2, 3])
    return Classifier(backbone, GAP((24, 2, 2), 5)).eval()


def stages(model, count):
    return [model.backbone.get_submodule(name) for name in model.backbone.stages[:count]]


@pytest.mark.parametrize("frozen", ["all", 1, 2])
@torch.no_grad()
def test_upper_of_lower_is_the_network_to_rounding(frozen):
    model = classifier()
    images = torch.randn(BLOCK + 3, 3, 16, 16)
    whole = model(images)
    model.freeze([model.backbone] if frozen == "all" else stages(model, frozen))
    maps = model.lower(images)
    torch.testing.assert_close(model(images), whole, rtol=1e-5, atol=1e-6)
    assert torch.equal(Upper(model)(maps), model(images))
    depth = {"all": (24, 2, 2), 1: (8, 8, 8), 2: (16, 4, 4)}[frozen]
    assert maps.shape == (BLOCK + 3, *depth)


def test_a_network_whose_first_stage_is_trained_has_no_lower_part():
    model = classifier()
    assert model.lower_modules == []
    model.freeze([model.backbone.get_submodule(model.backbone.stages[1])])
    assert model.lower_modules == []
    model.freeze(stages(model, 2))
    assert model.lower_modules == stages(model, 2)


@pytest.mark.parametrize("channels_last", [False, True])
@torch.no_grad()
def test_an_image_gives_the_same_map_in_any_company(channels_last):
    model = classifier()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model.to(memory_format=layout).freeze([model.backbone])
    images = torch.randn(70, 3, 16, 16).contiguous(memory_format=layout)
    maps = model.lower(images)
    for count in (1, 2, 31, 33, 64):
        chosen = torch.randperm(70)[:count]
        assert torch.equal(model.lower(images[chosen]), maps[chosen])


def test_only_what_is_trained_gets_gradients():
    model = classifier()
    model.freeze(stages(model, 2))
    model(torch.randn(4, 3, 16, 16)).sum().backward()
    got = {
        name.split(".")[0] for name, p in model.backbone.named_parameters() if p.grad is not None
    }
    assert got == {model.backbone.stages[2]}
    assert all(p.grad is not None for p in model.head.parameters())
