"""Class activation maps where they are known exactly."""

import pytest
import torch
from torch import nn

from gapfc.heads import NIN
from gapfc.measure.activation_map import class_activation_map


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Dropout(0.3))


def scaled(maps):
    maps = maps.relu()
    return maps / maps.amax((1, 2), keepdim=True)


def test_is_the_class_activation_map_of_gap(backbone):
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    images = torch.randn(5, 3, 7, 9)
    classes = torch.tensor([0, 1, 2, 3, 0])
    got = class_activation_map(backbone, head, images, classes)
    features = backbone.eval()(images)
    exact = torch.einsum("bchw,bc->bhw", features, head[2].weight[classes])
    assert got.shape == (5, 7, 9)
    torch.testing.assert_close(got, scaled(exact).detach(), rtol=1e-4, atol=1e-5)


def test_is_the_class_map_of_a_linear_nin(backbone):
    conv = nn.Conv2d(6, 4, 1, bias=False)
    head = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.randn(3, 3, 6, 6)
    classes = torch.tensor([1, 2, 3])
    got = class_activation_map(backbone, head, images, classes)
    exact = conv(backbone.eval()(images))[torch.arange(3), classes]
    torch.testing.assert_close(got, scaled(exact).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("relu", [True, False])
def test_nin_shows_its_own_maps(backbone, relu):
    head = NIN((6, 6, 6), 4, relu=relu)
    images = torch.randn(3, 3, 6, 6)
    classes = torch.tensor([1, 2, 3])
    got = class_activation_map(backbone, head, images, classes)
    own = head.conv(backbone.eval()(images))[torch.arange(3), classes]
    torch.testing.assert_close(got, scaled(own).detach(), rtol=1e-4, atol=1e-5)


def test_the_default_is_the_predicted_class(backbone):
    head = nn.Sequential(nn.Flatten(), nn.Linear(6 * 25, 4))
    images = torch.randn(4, 3, 5, 5)
    predicted = head(backbone.eval()(images)).argmax(1)
    torch.testing.assert_close(
        class_activation_map(backbone, head, images),
        class_activation_map(backbone, head, images, predicted),
    )


def test_finds_where_the_evidence_is():
    head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())  # class c is brightness of c
    images = torch.zeros(1, 3, 8, 8)
    images[0, 1, 2, 5] = 1.0
    got = class_activation_map(nn.Identity(), head, images, torch.tensor([1]))[0]
    assert got[2, 5] == 1
    assert got.sum() == 1


def test_nothing_for_the_class_is_zero_and_not_nan():
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    got = class_activation_map(nn.Identity(), head, -torch.rand(2, 3, 4, 4))
    assert (got == 0).all()


def test_leaves_everything_as_it_was_even_within_inference_mode(backbone):
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    backbone.train()
    backbone[1].eval()
    head[2].weight.grad = torch.ones(4, 6)
    running = backbone[1].running_mean.clone()
    with torch.inference_mode():
        maps = class_activation_map(backbone, head, torch.randn(2, 3, 5, 5))
    assert maps.amax() <= 1
    assert not maps.requires_grad
    assert torch.equal(head[2].weight.grad, torch.ones(4, 6))
    assert all(p.grad is None for p in backbone.parameters())
    assert (backbone.training, backbone[1].training, backbone[2].training) == (True, False, True)
    assert torch.equal(backbone[1].running_mean, running)
