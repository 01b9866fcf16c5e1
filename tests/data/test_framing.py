"""Photos brought to the network's size, beside Pillow and torchvision."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from gapfc.data.dataset import load
from gapfc.data.framing import Framing
from gapfc.data.loader import Loader
from gapfc.data.photo import decode
from gapfc.data.prepare import prepare_file
from gapfc.data.settings import LoaderSettings
from gapfc.errors import UserError

SIDE = st.integers(1, 90)


def photo(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def off(ours, theirs):
    return np.abs(np.asarray(ours).astype(int) - np.asarray(theirs).astype(int)).max()


def torchvision(image, resized, kept):
    """Its evaluation: the shorter side, then the centre."""
    return v2.Compose([v2.Resize(resized), v2.CenterCrop(kept)])(image)


@pytest.mark.parametrize(
    "size", [(375, 500), (500, 375), (333, 501), (256, 256), (224, 224), (257, 1000), (90, 61)]
)
def test_seven_eighths_of_the_shorter_side_are_torchvisions_256_and_224(size):
    image = photo(*size)
    assert off(Framing("crop", 0.875)(image, (224, 224)), torchvision(image, 256, 224)) <= 1


@settings(max_examples=60, deadline=None)
@given(SIDE, SIDE, st.integers(4, 20), st.integers(1, 12))
@example(90, 31, 9, 1)  # half a pixel of margin
def test_any_share_is_torchvisions(height, width, kept, more):
    image = photo(height, width)
    share = kept / (kept + more)
    if share >= 0.1:
        ours = Framing("crop", share)(image, (kept, kept))
        # Each of two passes rounds its weights and its bytes; Pillow 13 has finer weights than 12.
        assert off(ours, torchvision(image, kept + more, kept)) <= 2


@settings(max_examples=100, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE, st.floats(0.1, 1))
def test_what_is_seen_is_inside_and_in_the_middle(height, width, rows, columns, share):
    left, top, right, bottom = Framing("crop", share).seen((height, width), (rows, columns))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    pixel = max(width, height) / min(rows, columns)  # of the resized photo, and rounding
    assert abs(left - (width - right)) <= pixel + 1e-9
    assert abs(top - (height - bottom)) <= pixel + 1e-9
    if share == 1:
        assert (right - left) / (bottom - top) == pytest.approx(columns / rows)


def test_a_whole_crop_is_what_it_was_before_there_was_a_share():
    image = photo(30, 50)
    wanted = image.resize((15, 15), Image.Resampling.BILINEAR, box=(10, 0, 40, 30))
    assert off(Framing("crop")(image, (15, 15)), wanted) == 0


@settings(max_examples=100, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE)
def test_padding_shows_all_in_its_proportions(height, width, rows, columns):
    framing = Framing("pad", mean=(1.0, 0.5, 0.0))
    left, top, right, bottom = framing.place((height, width), (rows, columns))
    assert 0 <= left < right <= columns
    assert 0 <= top < bottom <= rows
    assert (right - left, bottom - top)[rows * width > columns * height] in (rows, columns) or (
        right - left == columns or bottom - top == rows
    )
    assert 0 <= (columns - right) - left <= 1
    assert 0 <= (rows - bottom) - top <= 1
    scale = min(rows / height, columns / width)
    assert abs(right - left - width * scale) <= 1
    assert abs(bottom - top - height * scale) <= 1
    image = photo(height, width)
    shown = np.asarray(framing(image, (rows, columns)))
    inside = image.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    assert np.array_equal(shown[top:bottom, left:right], np.asarray(inside))
    outside = np.ones((rows, columns), bool)
    outside[top:bottom, left:right] = False
    assert (shown[outside] == (255, 128, 0)).all()


def test_what_is_padded_is_nearly_nothing_once_it_is_normalised(config, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            photo(20, 50, number + 9 * (name == "cat")).save(tmp_path / name / f"{number}.png")
    composed = config(
        "dataset=folder", f"dataset.train_dir={tmp_path}", "dataset.image_size=32",
        "dataset.resize=pad", "dataset.workers=0", "dataset.val_fraction=0.4", "augment=none",
    )  # fmt: skip
    dataset = load(composed.dataset, ".")
    loader = Loader(dataset, LoaderSettings.of(composed), torch.device("cpu"))
    for images, _ in loader.evaluation("val"):
        assert images[:, :, :9].abs().max() <= 0.5 / 255 / 0.224 + 1e-6
        assert images[:, :, 10:22].abs().mean() > 0.3
    # and a stranger's photo is brought to the network in the same way
    (kept,) = loader.reader("val").in_order(9)
    paths = dataset.val.paths
    for image, path in zip(kept[0], paths, strict=True):
        assert torch.equal(prepare_file(path, loader.inputs), image)


def test_a_large_jpeg_keeps_twice_the_pixels_that_are_shown(tmp_path):
    path = str(tmp_path / "large.jpg")
    Image.linear_gradient("L").resize((2048, 1536)).convert("RGB").save(path, quality=95)
    for share in (1.0, 0.5):
        got = decode(path, (224, 224), Framing("crop", share)).permute(1, 2, 0)
        with Image.open(path) as image:
            wanted = torchvision(image.convert("RGB"), round(224 / share), 224)
        assert off(got, wanted) <= 3
    assert Framing("crop", 0.5).enough((224, 224)) == (896, 896)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["dataset.crop_share=0.5"], r"crop_share=0.5 is of dataset.resize=crop alone"),
        (["dataset.crop_share=0.5", "dataset.resize=pad"], "is of dataset.resize=crop alone"),
        (["dataset.crop_share=0.05", "dataset.resize=crop"], "takes a number from 0.1 to 1"),
        (
            ["dataset.crop_share=0.9", "dataset.resize=crop", "dataset.image_size=native"],
            "needs images of one size",
        ),
        (["dataset.resize=letterbox"], "dataset.resize takes squash, crop or pad"),
    ],
)
def test_what_cannot_be_meant_is_named(config, given, words):
    with pytest.raises(UserError, match=words):
        LoaderSettings.of(config("dataset=folder", *given))
