"""ResNetCifar against the paper's table of sizes, and its shortcuts by hand."""

import pytest
import torch

from gapfc.backbones import ResNetCifar
from gapfc.backbones.resnet_cifar import ResidualBlock
from gapfc.errors import UserError


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_parameters_are_the_papers(depth, millions):
    """He et al. 2015, table 6, with a classifier of 10 classes."""
    total = sum(p.numel() for p in ResNetCifar(depth).parameters()) + 64 * 10 + 10
    assert round(total / 1e6, 1 if depth == 110 else 2) == millions


@pytest.mark.parametrize("depth", [20, 32])
def test_depth_counts_layers_with_weights(depth):
    convolutions = [m for m in ResNetCifar(depth).modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) + 1 == depth


def test_shapes():
    net = ResNetCifar()
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 64, 8, 8)
    assert net(torch.randn(2, 3, 27, 34)).shape == (2, 64, 7, 9)
    assert net.stages == ("stem", "stage1", "stage2", "stage3")


@pytest.mark.parametrize("width", [4, 6])
def test_shortcut_alone(width):
    """With inner weights of zero a block is the ReLU of its shortcut."""
    block = ResidualBlock(4, width).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    features = torch.randn(2, 4, 5, 6)
    if width == 4:
        expected = features.clamp(min=0)
    else:
        expected = torch.zeros(2, 6, 3, 3)
        for row in range(3):
            for column in range(3):
                corner = features[:, :, 2 * row, 2 * column]
                expected[:, :4, row, column] = corner.clamp(min=0)
    assert torch.equal(block(features), expected)


def test_inner_path_adds_to_the_shortcut():
    block = ResidualBlock(3, 3).eval()
    torch.nn.init.dirac_(block.conv1.weight)
    torch.nn.init.dirac_(block.conv2.weight)
    features = torch.randn(1, 3, 4, 4)
    # Each norm divides by sqrt(1 + 1e-5) in eval mode at its start.
    expected = (features.relu() / (1 + 1e-5) + features).relu()
    torch.testing.assert_close(block(features), expected)


def test_unknown_depth():
    with pytest.raises(UserError, match=r"depth takes 20, 32, 44, 56 or 110; got 18"):
        ResNetCifar(18)


def test_circular_maps_move_with_the_image_and_zeros_tell_where_it_is():
    for padding, moves in (("circular", True), ("zeros", False)):
        torch.manual_seed(0)
        net = ResNetCifar(padding=padding).eval()
        images = torch.randn(2, 3, 16, 24)
        moved = net(images.roll((4, 8), (2, 3)))
        expected = net(images).roll((1, 2), (2, 3))
        assert torch.allclose(moved, expected, rtol=1e-4, atol=1e-5) == moves
    with pytest.raises(UserError, match=r"backbone\.padding takes zeros or circular; got same"):
        ResNetCifar(padding="same")
