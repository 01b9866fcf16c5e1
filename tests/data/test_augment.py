"""Augmentation against torchvision's functions at the same parameters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import RandomResizedCrop as Reference
from torchvision.transforms import functional

from gapfc.data.augment import Augmentation, Cutout, Flip, Light, Shift, integers
from gapfc.data.random_crop import RandomResizedCrop
from gapfc.errors import UserError


def pictures(count=40, channels=3, size=(13, 17)):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, channels, *size), dtype=torch.uint8, generator=generator)
    return images, generator


@pytest.mark.parametrize("channels", [1, 3])
def test_shift_is_pad_and_crop(channels):
    images, generator = pictures(channels=channels)
    random = torch.rand(40, 2, generator=generator)
    got = Shift(pixels=4)(images, random)
    for image, (down, right), result in zip(images, integers(random, 9).tolist(), got, strict=True):
        assert torch.equal(
            result, functional.crop(functional.pad(image, [4] * 4), down, right, 13, 17)
        )
    assert len(integers(random, 9).unique()) == 9


def test_shift_by_a_fraction_reaches_an_eighth_of_each_side_and_no_further():
    image = torch.zeros(2, 1, 16, 32, dtype=torch.uint8)
    image[:, :, 8, 16] = 255
    corners = Shift(fraction=0.125)(image, torch.tensor([[0.0, 0.0], [0.999999, 0.999999]]))
    assert corners.nonzero()[:, 2:].tolist() == [[10, 20], [6, 12]]


def test_flip_mirrors_where_the_number_is_below_one_half():
    images, _ = pictures(4)
    got = Flip()(images, torch.tensor([[0.0], [0.49], [0.5], [0.99]]))
    assert torch.equal(got[:2], functional.hflip(images[:2]))
    assert torch.equal(got[2:], images[2:])


def test_cutout_paints_one_square_which_may_leave_the_image():
    images = torch.full((3, 3, 10, 10), 200, dtype=torch.uint8)
    random = torch.tensor([[0.55, 0.35], [0.0, 0.0], [0.99, 0.5]])  # centres (5, 3) (0, 0) (9, 5)
    got = Cutout(4, (1, 2, 3))(images, random)
    expected = images.clone()
    for channel, value in enumerate((1, 2, 3)):
        expected[0, channel, 3:7, 1:5] = value
        expected[1, channel, :2, :2] = value
        expected[2, channel, 7:, 3:7] = value
    assert torch.equal(got, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_light_is_torchvisions_brightness_then_contrast(channels):
    images, generator = pictures(channels=channels)
    random = torch.rand(40, 2, generator=generator)
    got = Light(0.4, 0.3)(images, random)
    for image, (bright, contrast), result in zip(images, random.tolist(), got, strict=True):
        expected = functional.adjust_brightness(image, 1 + 0.4 * (2 * bright - 1))
        expected = functional.adjust_contrast(expected, 1 + 0.3 * (2 * contrast - 1))
        # torchvision floors the luma of each pixel in its own rounding: one level at most
        assert (result.int() - expected.int()).abs().max() <= 1


def test_resized_crop_equals_torchvision_at_its_boxes():
    images, generator = pictures(size=(24, 31))
    random = torch.rand(40, RandomResizedCrop(0.2).numbers, generator=generator)
    operation = RandomResizedCrop(0.2)
    boxes = operation.boxes(random, 24, 31).tolist()
    for image, (top, left, tall, wide), got in zip(
        images, boxes, operation(images, random), strict=True
    ):
        cut = functional.crop(image, top, left, tall, wide)
        expected = functional.resize(cut, [24, 31], antialias=True)
        assert (got.int() - expected.int()).abs().max() <= 1
    assert len({tuple(box) for box in boxes}) > 35


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.05, 1), st.integers(0, 2**31))
def test_resized_crop_boxes_lie_in_the_image(height, width, smallest, seed):
    operation = RandomResizedCrop(smallest)
    random = torch.rand(50, operation.numbers, generator=torch.Generator().manual_seed(seed))
    top, left, tall, wide = operation.boxes(random, height, width).unbind(1)
    assert (tall >= 1).all()
    assert (wide >= 1).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()


def test_resized_crop_has_torchvisions_fallback_and_spread():
    operation = RandomResizedCrop(0.08)
    random = torch.rand(4000, operation.numbers, generator=torch.Generator().manual_seed(0))
    narrow = RandomResizedCrop(1.0).boxes(random[:5], 10, 40)
    assert narrow.tolist() == [[0, 13, 10, 13]] * 5
    image = torch.zeros(3, 60, 80)
    torch.manual_seed(0)
    theirs = torch.tensor(
        [Reference.get_params(image, (0.08, 1), (3 / 4, 4 / 3)) for _ in range(4000)]
    ).double()
    ours = operation.boxes(random, 60, 80).double()
    for values in (ours, theirs):
        values[:, :2] /= torch.tensor([60, 80])
    assert (ours.mean(0) - theirs.mean(0)).abs().max() < 0.8
    assert (ours.std(0) - theirs.std(0)).abs().max() < 0.8


def test_order_is_fixed_and_chunks_do_not_matter(config):
    augment = config("augment=photo", "augment.cutout=4", "augment.brightness=0.2").augment
    operations = Augmentation(augment, (0.5, 0.25, 0.75))
    names = [type(operation).__name__ for operation in operations.operations]
    assert names == ["RandomResizedCrop", "Flip", "Light", "Cutout"]
    assert operations.operations[-1].fill == (128, 64, 191)
    images, generator = pictures()
    random = operations.draw(40, generator)
    whole = operations(images, random)
    parts = [operations(images[a : a + 7], random[a : a + 7]) for a in range(0, 40, 7)]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, images)


def test_none_changes_nothing(config):
    operations = Augmentation(config("augment=none").augment, (0.5,) * 3)
    images, generator = pictures()
    assert torch.equal(operations(images, operations.draw(40, generator)), images)


@pytest.mark.parametrize(
    "setting",
    ["translate=1.5", "crop_padding=-1", "cutout=2.5", "brightness=-0.1", "resized_crop=0"],
)
def test_values_out_of_range_are_named(config, setting):
    with pytest.raises(UserError, match=f"augment.{setting.split('=')[0]}"):
        Augmentation(config(f"augment.{setting}").augment, (0.5,) * 3)
