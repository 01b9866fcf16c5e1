"""ConvNet against its own definition in functions, and where it pools."""

import pytest
import torch
from torch.nn import functional

from gapfc.backbones import ConvNet
from gapfc.errors import UserError


@pytest.mark.parametrize("batch_norm", [True, False])
def test_equals_the_same_network_in_functions(batch_norm):
    pool = {"kind": "avg", "kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}
    net = ConvNet(widths=[5, 7], batch_norm=batch_norm, pool_after=[2], pool=pool)
    images = torch.randn(4, 3, 9, 14)
    expected = images
    for number, stage in enumerate((net.stage1, net.stage2), start=1):
        expected = functional.conv2d(expected, stage.conv.weight, stage.conv.bias, padding=1)
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


def test_scale_survives_without_batch_norm():
    torch.manual_seed(0)
    features = ConvNet(batch_norm=False, pool_after=[])(torch.randn(4, 3, 16, 16))
    assert 0.3 < features.square().mean().sqrt() < 3


def test_too_small_images_are_an_error_that_names_the_setting():
    with pytest.raises(UserError, match=r"4 x 12 are too small for backbone convnet.*image_size"):
        ConvNet()(torch.randn(1, 3, 4, 12))


def test_other_errors_keep_their_words():
    with pytest.raises(RuntimeError, match="channels"):
        ConvNet()(torch.randn(1, 4, 32, 32))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pool_after": [0]}, r"pool_after takes stages from 1 to 4.*; got \[0\]"),
        ({"pool_after": [5]}, r"pool_after takes .*; got \[5\]"),
        ({"pool_after": [1, 1]}, "each once"),
        ({"widths": []}, r"widths takes .*; got \[\]"),
        ({"widths": [8, 0], "pool_after": []}, r"widths takes .*; got \[8, 0\]"),
        ({"pool_after": [], "pool": {"kind": "min"}}, r"pool\.kind takes max or avg; got min"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(UserError, match=words):
        ConvNet(**options)
