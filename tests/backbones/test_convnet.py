"""ConvNet against its own definition in functions, and where it pools."""

import pytest
import torch
from torch.nn import functional

from gapfc.backbones import ConvNet
from gapfc.errors import UserError
from gapfc.measure.complexity import macs


@pytest.mark.parametrize(("batch_norm", "kernel_size"), [(True, 3), (False, 3), (True, 5)])
def test_equals_the_same_network_in_functions(batch_norm, kernel_size):
    pool = {"kind": "avg", "kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}
    options = {"widths": [5, 7], "batch_norm": batch_norm, "kernel_size": kernel_size}
    net = ConvNet(**options, pool_after=[2], pool=pool)
    assert net.stage2.conv.weight.shape == (7, 5, kernel_size, kernel_size)
    images = torch.randn(4, 3, 9, 14)
    expected = images
    for number, stage in enumerate((net.stage1, net.stage2), start=1):
        weight, bias = stage.conv.weight, stage.conv.bias
        expected = functional.conv2d(expected, weight, bias, padding=kernel_size // 2)
        if batch_norm:
            mean = expected.mean((0, 2, 3), keepdim=True)
            variance = expected.var((0, 2, 3), unbiased=False, keepdim=True)
            expected = (expected - mean) / (variance + 1e-5).sqrt()
        expected = expected.clamp(min=0)
        if number == 2:
            expected = functional.avg_pool2d(expected, 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-5)
    assert (net.stage1.conv.bias is None) is batch_norm


@pytest.mark.parametrize(
    ("size", "pool_after", "shape"),
    [
        ((32, 32), [1, 2, 3], (512, 4, 4)),
        ((28, 28), [1, 2, 3], (512, 3, 3)),
        ((40, 24), [1, 2, 3], (512, 5, 3)),
        ((32, 32), [1, 2, 3, 4], (512, 2, 2)),
        ((8, 6), [], (512, 8, 6)),
    ],
)
def test_shapes(size, pool_after, shape):
    assert ConvNet(pool_after=pool_after)(torch.randn(2, 3, *size)).shape == (2, *shape)


def test_parameters_by_hand():
    # 3x3 kernels without bias, and a scale and a shift for each channel.
    expected = sum(9 * a * b + 2 * b for a, b in [(3, 64), (64, 128), (128, 256), (256, 512)])
    assert sum(p.numel() for p in ConvNet().parameters()) == expected == 1_551_936


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (45, 23)])
@pytest.mark.parametrize("stride", [2, 3])
def test_without_pools_the_convolutions_stride_to_maps_of_the_same_size(size, stride):
    options = {"widths": [4, 5, 6], "pool_after": [1, 3]}
    torch.manual_seed(0)
    pooled = ConvNet(**options, pool={"kernel_size": stride})
    torch.manual_seed(0)
    strided = ConvNet(**options, pool={"kind": "none", "kernel_size": stride})
    images = torch.randn(2, 3, *size)
    assert strided(images).shape == pooled(images).shape
    own, others = strided.state_dict(), pooled.state_dict()
    assert list(own) == list(others)  # and so the same parameters,
    for name, conv in ((n, p) for n, p in own.items() if "conv" in n):
        assert torch.equal(conv, others[name])  # which start from the same numbers
    expected = images
    for stage, step in zip(strided.children(), (stride, 1, stride), strict=True):
        expected = functional.pad(expected, (1, 1, 1, 1))
        expected = functional.conv2d(expected, stage.conv.weight)
        # The convolution at every place, of which every `stride`th is kept while a window fits.
        high, wide = (n // step * step for n in expected.shape[-2:])
        expected = stage.norm(expected[..., :high:step, :wide:step]).relu()
    torch.testing.assert_close(strided(images), expected)


def test_a_strided_convolution_costs_no_more_than_what_it_keeps():
    strided = ConvNet([8], pool_after=[1], pool={"kind": "none"})
    assert macs(strided, torch.nn.Identity(), (3, 32, 32))["backbone"] == 16 * 16 * 9 * 3 * 8


@pytest.mark.parametrize(
    "pool",
    [
        {},
        {"kind": "avg", "kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
        {"kind": "none"},
    ],
)
def test_circular_maps_move_with_the_image_and_zeros_tell_where_it_is(pool):
    for padding, moves in (("circular", True), ("zeros", False)):
        torch.manual_seed(0)
        net = ConvNet([6, 7, 8], pool_after=[1, 2], pool=pool, padding=padding).eval()
        images = torch.randn(2, 3, 16, 24)
        moved = net(images.roll((4, 12), (2, 3)))
        expected = net(images).roll((1, 3), (2, 3))
        assert torch.allclose(moved, expected, atol=1e-5) == moves


def test_padding_leaves_weights_and_draws_as_they_are():
    states = []
    for padding in ("zeros", "circular"):
        torch.manual_seed(0)
        states.append((ConvNet(padding=padding).state_dict(), torch.rand(3)))
    assert torch.equal(states[0][1], states[1][1])
    assert all(torch.equal(p, states[1][0][name]) for name, p in states[0][0].items())


def test_scale_survives_without_batch_norm():
    torch.manual_seed(0)
    features = ConvNet(batch_norm=False, pool_after=[])(torch.randn(4, 3, 16, 16))
    assert 0.3 < features.square().mean().sqrt() < 3


def test_too_small_images_are_an_error_that_names_the_setting():
    with pytest.raises(UserError, match=r"4 x 12 are too small for backbone convnet.*image_size"):
        ConvNet()(torch.randn(1, 3, 4, 12))
    for options in ({"pool": {"kind": "none"}}, {"padding": "circular"}):
        with pytest.raises(UserError, match="2 x 12 are too small for backbone convnet"):
            ConvNet(**options)(torch.randn(1, 3, 2, 12))


def test_other_errors_keep_their_words():
    with pytest.raises(RuntimeError, match="channels"):
        ConvNet()(torch.randn(1, 4, 32, 32))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pool_after": [0]}, r"pool_after takes stages from 1 to 4.*; got \[0\]"),
        ({"pool_after": [5]}, r"pool_after takes .*; got \[5\]"),
        ({"pool_after": [1, 1]}, "each once"),
        ({"kernel_size": 4}, "kernel_size takes an odd number, such as 5; got 4"),
        ({"widths": []}, r"widths takes .*; got \[\]"),
        ({"widths": [8, 0], "pool_after": []}, r"widths takes .*; got \[8, 0\]"),
        (
            {"pool_after": [], "pool": {"kind": "min"}},
            r"pool\.kind takes max, avg or none; got min",
        ),
        ({"padding": "reflect"}, "backbone.padding takes zeros or circular; got reflect"),
        (
            {"pool": {"kind": "none", "ceil_mode": True}},
            "pool.ceil_mode=true: only max and avg pools have it, and backbone.pool.kind is none",
        ),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(UserError, match=words):
        ConvNet(**options)
