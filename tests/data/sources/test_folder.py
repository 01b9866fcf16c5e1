"""The user's own images: trees, odd files, corrupt files."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from pixels import evaluation, training
from torchvision.datasets import ImageFolder

from gapfc.data.dataset import load
from gapfc.data.files import native_size
from gapfc.data.framing import Framing
from gapfc.data.photo import decode, header_size
from gapfc.errors import UserError


def options(tree, *more):
    return ["dataset=folder", f"dataset.train_dir={tree}/train", "dataset.image_size=16", *more]


def read(config, *overrides):
    return load(config(*overrides).dataset, "nowhere")


def test_a_tree_holds_what_torchvisions_image_folder_finds(config, tree):
    dataset = read(config, *options(tree, f"dataset.val_dir={tree}/val"))
    reference = ImageFolder(str(tree / "train"))
    assert list(dataset.classes) == reference.classes
    assert list(zip(dataset.train.paths, dataset.train.labels.tolist(), strict=True)) == [
        (path, label) for path, label in reference.samples
    ]
    for index, (image, _) in enumerate(reference):
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        assert torch.equal(dataset.train.read(index), pixels)


def test_one_tree_is_split_three_ways(config, tree):
    dataset = read(config, *options(tree))
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (14, 2, 4)
    paths = dataset.train.paths + dataset.val.paths + dataset.test.paths
    assert len(set(paths)) == 20


def test_a_validation_tree_without_a_test_tree_leaves_no_test(config, tree, caplog):
    with caplog.at_level(logging.INFO):
        dataset = read(config, *options(tree, f"dataset.val_dir={tree}/val"))
    assert (len(dataset.train), len(dataset.val), dataset.test) == (20, 5, None)
    assert "no test images" in caplog.text


def test_a_test_tree_alone_leaves_validation_to_be_held_out(config, tree):
    dataset = read(config, *options(tree, f"dataset.test_dir={tree}/val"))
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (18, 2, 5)


def test_a_relative_dir_is_found_in_data_root(config, tree):
    dataset = load(config("dataset=folder", "dataset.train_dir=train").dataset, tree)
    assert len(dataset.train) == 14


def test_classes_of_a_tree_by_name(config, tree):
    (tree / "train" / "emu").mkdir()
    Image.new("RGB", (9, 9)).save(tree / "train" / "emu" / "a.png")
    Image.new("RGB", (9, 9)).save(tree / "train" / "emu" / "b.png")
    dataset = read(
        config, *options(tree, "dataset.classes=[emu,cat]", "dataset.test_fraction=null")
    )
    assert dataset.classes == ("emu", "cat")
    assert dataset.train.labels.bincount().tolist() == [1, 11]


@pytest.mark.parametrize(
    ("extra", "words"),
    [(["emu"], r"val has emu, of which \S*train has no folder to train on\."),
     (["Dog"], r"has Dog, .* \(dog is spelled otherwise\)"),
     ([f"a{n}" for n in range(7)], r"has a0, a1, a2, a3, a4 and 2 more, of")],
)  # fmt: skip
def test_classes_that_cannot_be_learnt_are_named(config, tree, extra, words):
    for name in extra:
        (tree / "val" / name).mkdir()
    with pytest.raises(UserError, match=words):
        read(config, *options(tree, f"dataset.val_dir={tree}/val"))


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("key", ["val_dir", "test_dir"])
def test_classes_that_cannot_be_measured_are_warned_of(config, tree, caplog, key, empty):
    for path in (tree / "val" / "dog").iterdir():
        path.unlink()
    if not empty:
        (tree / "val" / "dog").rmdir()
    dataset = read(config, *options(tree, f"dataset.{key}={tree}/val"))
    measured = dataset.val if key == "val_dir" else dataset.test
    assert measured.labels.tolist() == [0, 0, 0]
    assert (
        f"{tree}/val has no images of dog: its accuracy says nothing of that class" in caplog.text
    )
    for path in (tree / "val" / "cat").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=rf"dataset.{key}=\S*val has no images"):
        read(config, *options(tree, f"dataset.{key}={tree}/val"))


def test_a_class_of_which_nothing_can_be_read_is_named(config, tree):
    for path in (tree / "train" / "dog").iterdir():
        path.write_bytes(b"no")
    more = [f"dataset.val_dir={tree}/val", "dataset.skip_corrupt=true"]
    with pytest.raises(UserError, match="train has no readable image of dog"):
        read(config, *options(tree, *more))


def test_unreadable_files_of_all_splits_are_named_at_once(config, tree):
    for path in ("train/cat/00.png", "val/dog/01.png"):
        (tree / path).write_bytes(b"no")
    with pytest.raises(UserError, match=r"2 unreadable.*train/cat/00.png.*val/dog/01.png"):
        read(config, *options(tree, f"dataset.val_dir={tree}/val"))


def test_images_beside_the_classes_are_said_to_be_left_out(config, tree, caplog):
    Image.new("RGB", (9, 9)).save(tree / "train" / "a.png")
    (tree / "train" / "notes.txt").write_text("")
    assert len(read(config, *options(tree)).train) == 14
    assert f"Left out 1 image in {tree}/train itself" in caplog.text


def test_empty_class_no_classes_and_no_folder_are_named(config, tree):
    with pytest.raises(UserError, match=r"dataset.train_dir=<folder"):
        read(config, "dataset=folder")
    with pytest.raises(UserError, match="there is no such folder"):
        read(config, "dataset=folder", "dataset.train_dir=absent")
    with pytest.raises(UserError, match="no subfolders"):
        read(config, "dataset=folder", f"dataset.train_dir={tree}/train/cat")
    (tree / "train" / "emu").mkdir()
    with pytest.raises(UserError, match="emu has no images"):
        read(config, *options(tree))


def test_imagenet_layout(config, tree):
    with pytest.raises(UserError, match=r"image-net.org"):
        load(config("dataset=imagenet").dataset, tree)
    (tree / "imagenet").mkdir()
    (tree / "train").rename(tree / "imagenet" / "train")
    (tree / "val").rename(tree / "imagenet" / "val")
    dataset = load(config("dataset=imagenet").dataset, tree)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (18, 2, 5)


MODES = {
    "grey.png": (Image.new("L", (6, 4), 100), (100, 100, 100)),
    "bilevel.png": (Image.new("1", (6, 4), 1), (255, 255, 255)),
    "colour.bmp": (Image.new("RGB", (6, 4), (10, 20, 30)), (10, 20, 30)),
    "clear.png": (Image.new("RGBA", (6, 4), (0, 0, 0, 0)), (255, 255, 255)),
    "half.png": (Image.new("LA", (6, 4), (0, 128)), (127, 127, 127)),
    "deep.png": (Image.fromarray(np.full((4, 6), 128 * 257, np.uint16)), (128, 128, 128)),
    "deep.tif": (Image.fromarray(np.full((4, 6), 65535, np.uint16)), (255, 255, 255)),
    "float.tif": (Image.fromarray(np.full((4, 6), 0.5, np.float32)), (128, 128, 128)),
    "palette.gif": (Image.new("RGB", (6, 4), (255, 0, 0)).quantize(4), (255, 0, 0)),
    "print.tif": (Image.new("CMYK", (6, 4), (0, 255, 255, 0)), (255, 0, 0)),
    "lossless.webp": (Image.new("RGB", (6, 4), (0, 0, 200)), (0, 0, 200)),
}


@pytest.mark.parametrize("name", sorted(MODES))
def test_every_mode_becomes_rgb(tmp_path, name):
    image, colour = MODES[name]
    path = str(tmp_path / name)
    image.save(path, lossless=True) if name.endswith("webp") else image.save(path)
    assert header_size(path) == (4, 6)
    expected = torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 6)
    assert (decode(path).int() - expected.int()).abs().max() <= 1


def test_exif_orientation_is_followed(tmp_path):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255  # bright on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise: bright on top
    path = str(tmp_path / "turned.jpg")
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    assert header_size(path) == (40, 20)
    for image in (decode(path), decode(path, (40, 20))):
        assert image.shape == (3, 40, 20)
        assert image[:, :16].min() > 200
        assert image[:, 24:].max() < 60


def test_squash_and_crop_against_pillow(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    path = str(tmp_path / "photo.png")
    photo = Image.fromarray(pixels)
    photo.save(path)
    squashed = np.array(photo.resize((20, 15), Image.Resampling.BILINEAR))
    assert np.array_equal(decode(path, (15, 20)).permute(1, 2, 0), squashed)
    cropped = np.array(photo.resize((25, 15), Image.Resampling.BILINEAR).crop((5, 0, 20, 15)))
    got = decode(path, (15, 15), Framing("crop")).permute(1, 2, 0).numpy()
    assert np.abs(got.astype(int) - cropped).max() <= 1


@pytest.mark.parametrize(
    ("size", "most", "multiple", "expected"),
    [
        ((100, 200), None, 1, (100, 200)),
        ((100, 200), None, 32, (96, 192)),
        ((10, 200), None, 32, (32, 192)),
        ((100, 200), 100, 1, (50, 100)),
        ((300, 200), 100, 32, (96, 64)),
        ((20, 10), 100, 1, (20, 10)),
    ],
)
def test_native_sizes(size, most, multiple, expected):
    assert native_size(size, most, multiple) == expected


@pytest.fixture
def broken(tree):
    """`tree` with a file that is no image, and one whose header is good but is cut short."""
    (tree / "train" / "cat" / "00.png").write_bytes(b"not an image")
    whole = (tree / "train" / "dog" / "01.png").read_bytes()
    (tree / "train" / "dog" / "01.png").write_bytes(whole[: len(whole) // 2])
    return tree


def test_bad_headers_and_cut_files_are_named_before_training(config, broken):
    words = (
        r"^2 unreadable image files: .*cat/00\.png \(not an image\); .*dog/01\.png "
        r"\(.*truncated.*\)\. Repair or remove them, or set dataset\.skip_corrupt=true\.$"
    )
    with pytest.raises(UserError, match=words):
        read(config, *options(broken))


@pytest.mark.parametrize("residency", ["device", "stream"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_cut_file_is_named_when_it_is_met(config, broken, residency, workers):
    (broken / "train" / "cat" / "00.png").unlink()
    composed = config(
        *options(
            broken,
            f"dataset.val_dir={broken}/val",
            "dataset.check_headers=false",
            f"dataset.residency={residency}",
            f"dataset.workers={workers}",
            "trainer.batch_size=19",
        )
    )
    dataset = load(composed.dataset, ".")
    with pytest.raises(UserError, match=r"1 unreadable.*dog/01\.png") as caught:
        list(training(dataset, composed, "cpu").epoch(0))
    assert "Traceback" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("residency", ["device", "stream"])
@pytest.mark.parametrize(("checked", "images"), [("true", 18), ("false", 20)])
def test_corrupt_files_are_skipped_with_their_labels(
    config, broken, residency, checked, images, caplog
):
    composed = config(
        *options(
            broken,
            f"dataset.val_dir={broken}/val",
            f"dataset.residency={residency}",
            "dataset.workers=0",
            "dataset.skip_corrupt=true",
            f"dataset.check_headers={checked}",
            "trainer.batch_size=20",
            "augment=crop_flip",
        )
    )
    dataset = load(composed.dataset, ".")
    assert len(dataset.train) == images
    (batch,) = training(dataset, composed, "cpu").epoch(0)
    assert batch[0].shape == (18, 3, 16, 16)
    assert batch[1].bincount().tolist() == [11, 7]
    evaluated = torch.cat([labels for _, labels in evaluation(dataset, "train", composed, "cpu")])
    assert evaluated.tolist() == [0] * 11 + [1] * 7
    assert "00.png" in caplog.text
    assert "01.png" in caplog.text


def test_a_tree_of_corrupt_files_only(config, tree):
    for path in (tree / "train").rglob("*.png"):
        path.write_bytes(b"no")
    with pytest.raises(UserError, match=r"20 unreadable.*and 17 more"):
        read(config, *options(tree))
    with pytest.raises(UserError, match="unreadable"):
        read(config, *options(tree, "dataset.skip_corrupt=true"))
