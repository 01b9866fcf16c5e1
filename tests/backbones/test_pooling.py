"""Every option of a pool reaches torch; what a kind does not have is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.nn import functional

from gapfc.backbones.pooling import build_pool
from gapfc.errors import UserError

SIDE = st.integers(1, 3)
SIZE = st.one_of(SIDE, st.tuples(SIDE, SIDE).map(list))


def pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_max_pool_is_torchs(data):
    kernel = data.draw(SIZE)
    options = {
        "kernel_size": kernel,
        "stride": data.draw(st.one_of(st.none(), SIZE)),
        "padding": [data.draw(st.integers(0, side // 2)) for side in pair(kernel)],
        "dilation": data.draw(SIZE),
        "ceil_mode": data.draw(st.booleans()),
    }
    images = torch.randn(2, 3, 11, 9)
    expected = functional.max_pool2d(images, **options)
    assert torch.equal(build_pool({"kind": "max", **options})(images), expected)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_average_pool_is_torchs(data):
    kernel = data.draw(SIZE)
    options = {
        "kernel_size": kernel,
        "stride": data.draw(st.one_of(st.none(), SIZE)),
        "padding": [data.draw(st.integers(0, side // 2)) for side in pair(kernel)],
        "ceil_mode": data.draw(st.booleans()),
        "count_include_pad": data.draw(st.booleans()),
        "divisor_override": data.draw(st.one_of(st.none(), st.integers(1, 9))),
    }
    images = torch.randn(2, 3, 11, 9)
    expected = functional.avg_pool2d(images, **options)
    assert torch.equal(build_pool({"kind": "avg", **options})(images), expected)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_circular_pool_sees_the_opposite_side_beyond_the_border(data):
    kernel = data.draw(SIZE)
    options = {
        "kind": data.draw(st.sampled_from(["max", "avg"])),
        "kernel_size": kernel,
        "stride": data.draw(SIDE),
        "padding": [data.draw(st.integers(0, side // 2)) for side in pair(kernel)],
        "ceil_mode": data.draw(st.booleans()),
    }
    images = torch.randn(2, 3, 7, 6)
    got = build_pool(options, "circular")(images)
    assert got.shape == build_pool(options)(images).shape
    for row in range(got.shape[2]):
        for column in range(got.shape[3]):
            window = images
            for axis, place in ((2, row), (3, column)):
                first = place * options["stride"] - options["padding"][axis - 2]
                seen = [
                    n % images.shape[axis] for n in range(first, first + pair(kernel)[axis - 2])
                ]
                window = window.index_select(axis, torch.tensor(seen))
            value = window.amax((2, 3)) if options["kind"] == "max" else window.mean((2, 3))
            torch.testing.assert_close(got[:, :, row, column], value)


def test_takes_a_config_node():
    node = OmegaConf.create({"kind": "avg", "kernel_size": [3, 2], "stride": [1, 2]})
    images = torch.randn(1, 2, 6, 6)
    expected = functional.avg_pool2d(images, (3, 2), (1, 2))
    assert torch.equal(build_pool(node)(images), expected)


def test_options_at_the_default_of_the_other_kind_are_fine():
    build_pool({"kind": "avg", "dilation": 1})
    build_pool({"kind": "max", "count_include_pad": True, "divisor_override": None})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "avg", "dilation": 2}, r"dilation=2: only max pools.*Leave it at 1"),
        ({"kind": "max", "count_include_pad": False}, r"only avg pools.*Leave it at true"),
        ({"kind": "max", "divisor_override": 4}, r"only avg pools.*Leave it at null"),
        ({"kind": "median"}, r"pool\.kind takes max, avg or none; got median"),
        ({"size": 2}, r"pool\.size is not an option.*kernel_size"),
        ({"kernel_size": 0}, r"kernel_size takes a whole number of at least 1.*; got 0"),
        ({"kernel_size": [2, 2, 2]}, r"kernel_size takes .*; got \[2, 2, 2\]"),
        ({"stride": 1.5}, r"stride takes .*; got 1\.5"),
        ({"padding": 2}, r"padding=2: at most half"),
        ({"ceil_mode": "yes"}, r"ceil_mode takes true or false; got yes"),
        ({"kind": "avg", "divisor_override": 0}, r"divisor_override takes .*; got 0"),
    ],
)
def test_errors_name_setting_and_values(options, words):
    with pytest.raises(UserError, match=words):
        build_pool(options)
