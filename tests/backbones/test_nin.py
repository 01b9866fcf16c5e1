"""NIN against the paper's released network, written out in functions."""

import pytest
import torch
from torch.nn import functional

from gapfc.backbones import NIN
from gapfc.errors import UserError


def mlpconv(block, features, padding):
    features = functional.conv2d(features, block.conv1.weight, block.conv1.bias, padding=padding)
    features = features.relu()
    for conv in [block.conv2, *([block.conv3] if hasattr(block, "conv3") else [])]:
        features = functional.conv2d(features, conv.weight, conv.bias).relu()
    return features


def caffe_average(features):
    """3x3/2 average pool whose last, partial windows divide by what they cover."""
    _, _, height, width = features.shape
    rows = [slice(top, min(top + 3, height)) for top in range(0, height - 1, 2)]
    columns = [slice(left, min(left + 3, width)) for left in range(0, width - 1, 2)]
    return torch.stack(
        [torch.stack([features[:, :, r, c].mean((2, 3)) for c in columns], -1) for r in rows], -2
    )


def test_equals_the_release_in_functions():
    net = NIN().eval()
    images = torch.randn(2, 3, 32, 32)
    features = mlpconv(net.block1.mlpconv, images, 2)
    padded = functional.pad(features, (0, 1, 0, 1), value=-torch.inf)  # the ceil of 15.5
    features = functional.max_pool2d(padded, 3, 2)
    features = caffe_average(mlpconv(net.block2.mlpconv, features, 2))
    expected = mlpconv(net.block3, features, 1)
    assert expected.shape == (2, 192, 8, 8)
    torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-5)


def test_parameters_with_the_last_layer_are_the_releases():
    # The released network for CIFAR-10 has 966,986.
    assert sum(p.numel() for p in NIN(maps=10).parameters()) == 966_986


def test_dropout_follows_the_first_two_pools():
    net = NIN(dropout=0.25)
    assert [net.block1.dropout.p, net.block2.dropout.p] == [0.25, 0.25]
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(net(images), net(images))
    net.eval()
    assert torch.equal(net(images), net(images))


def test_maps_end_without_relu():
    net = NIN(maps=10).eval()
    features = net(torch.randn(2, 3, 28, 20))
    assert features.shape == (2, 10, 7, 5)
    assert features.min() < 0 < features.max()
    assert net.stages == ("block1", "block2", "block3", "maps")


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"dropout": -0.1}, {"maps": 0}])
def test_wrong_options(options):
    with pytest.raises(UserError, match=f"backbone.{next(iter(options))} takes"):
        NIN(**options)


def test_circular_maps_move_with_the_image_and_zeros_tell_where_it_is():
    for padding, moves in (("circular", True), ("zeros", False)):
        torch.manual_seed(0)
        net = NIN(padding=padding).eval()
        images = torch.randn(2, 3, 16, 24)
        moved = net(images.roll((4, 8), (2, 3)))
        expected = net(images).roll((1, 2), (2, 3))
        assert torch.allclose(moved, expected, rtol=1e-4, atol=1e-5) == moves
    with pytest.raises(UserError, match=r"backbone\.padding takes zeros or circular; got same"):
        NIN(padding="same")
