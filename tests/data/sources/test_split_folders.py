"""Folders that hold train, validation and test, and folders of classes that are called so."""

import logging
import shlex

import numpy as np
import pytest
from PIL import Image

from gapfc.data.dataset import load
from gapfc.data.sources.folder import is_image
from gapfc.data.sources.split_folders import SPLITS, find_splits
from gapfc.errors import UserError


@pytest.fixture
def grow(tmp_path):
    """`grow("train/cat", "val/cat", …)`: a folder with four photos in each."""
    draw = np.random.default_rng(0)

    def make(*folders, root="photos", photos=4):
        for folder in folders:
            place = tmp_path / root / folder
            place.mkdir(parents=True, exist_ok=True)
            for number in range(photos):
                pixels = draw.integers(0, 256, (8, 9, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
        return tmp_path / root

    return make


def both(*splits):
    return [f"{split}/{name}" for split in splits for name in ("cat", "dog")]


def found(root):
    splits = find_splits(root, is_image)
    return splits and {key: str(path.relative_to(root)) for key, path in splits.items()}


def read(config, root, *more):
    return load(config("dataset=folder", f"dataset.train_dir={root}", *more).dataset, ".")


def sizes(dataset):
    return [split and len(split) for split in (dataset.train, dataset.val, dataset.test)]


@pytest.mark.parametrize("spelled", [str, str.upper, str.title])
@pytest.mark.parametrize("name", SPLITS)
def test_splits_have_many_names(grow, name, spelled):
    train = "train" if SPLITS[name] != "train_dir" else name
    root = grow(*both(spelled(train), spelled(name)))
    assert found(root) == {"train_dir": spelled(train), SPLITS[name]: spelled(name)}


def test_what_they_are_taken_for_is_said_in_one_line(grow, config, caplog):
    root = grow(*both("train", "Valid"), "test/cat", "test/dog", "test/cat/more")
    with caplog.at_level(logging.INFO):
        dataset = read(config, root)
    assert dataset.classes == ("cat", "dog")
    assert sizes(dataset) == [8, 8, 12]
    assert dataset.origins == {"val": f"{root}/Valid", "test": f"{root}/test"}
    assert caplog.messages == [f"{root} holds splits: train, Valid and test are used as such."]


def test_what_is_not_there_is_held_out_as_ever(grow, config):
    assert sizes(read(config, grow(*both("train"), root="a"))) == [4, 2, 2]
    assert sizes(read(config, grow(*both("train", "test"), root="b"))) == [6, 2, 8]
    assert sizes(read(config, grow(*both("train", "val"), root="c"))) == [8, 8, None]


def test_a_dir_that_is_named_is_taken_instead(grow, config, caplog):
    root = grow(*both("train", "val", "test"))
    other = grow("cat", "dog", root="other", photos=3)
    with caplog.at_level(logging.INFO):
        dataset = read(config, root, f"dataset.val_dir={other}")
    assert sizes(dataset) == [8, 6, 8]
    assert caplog.messages[0].endswith(
        f"train and test are used as such; dataset.val_dir stays {other}."
    )
    swapped = read(config, root, f"dataset.val_dir={root}/test", f"dataset.test_dir={root}/val")
    assert swapped.origins == {"val": f"{root}/test", "test": f"{root}/val"}
    assert swapped.val.paths[0].startswith(f"{root}/test/cat/")


@pytest.mark.parametrize(
    "folders",
    [
        ["bus", "car", "train"],  # vehicles
        ["bus", "car", "train/steam", "train/electric"],
        ["train", "test"],  # said, but believed
        ["cat/a", "dog/b"],
        ["cat"],
        ["cat/more"],
    ],
)
def test_classes_that_are_called_so_stay_classes(grow, folders):
    assert find_splits(grow(*folders), is_image) is None


def test_vehicles_have_three_classes_and_nothing_is_said(grow, config, caplog):
    dataset = read(config, grow("bus", "car", "train"))
    assert dataset.classes == ("bus", "car", "train")
    assert not caplog.messages


def test_classes_that_might_be_splits_are_said(grow, config, caplog):
    assert read(config, grow("train", "test")).classes == ("test", "train")
    assert "called test and train. If those are splits, each of them needs" in caplog.text


def test_folders_without_an_image_are_passed_over(grow):
    root = grow(*both("train", "val"))
    (root / "annotations" / "xml").mkdir(parents=True)
    (root / "annotations" / "xml" / "0.xml").write_text("")
    (root / "test").mkdir()
    (root / ".cache" / "test" / "cat").mkdir(parents=True)
    (root / "broken").symlink_to("nowhere")
    assert found(root) == {"train_dir": "train", "val_dir": "val"}


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (both("val", "test"), "holds val and test and no train.*dataset.train_dir=<folder> "
         "dataset.val_dir={root}/val dataset.test_dir={root}/test"),
        (both("test"), "no train"),
        ([*both("train", "val"), "holdout/cat"], r"\(train and val\) beside what does not "
         r"\(holdout\).*dataset.train_dir={root}/train dataset.val_dir={root}/val"),
        ([*both("train", "val"), "test"], r"beside what does not \(test\)"),  # test images, flat
        (["train", "train/cat", "test/cat"], r"\(test\) beside what does not \(train\)"),
        ([*both("train"), "cat", "dog"], "name them: dataset.train_dir={root}/train"),
        ([*both("train"), *both("dev")], "name them: dataset.train_dir={root}/train"),
        ([*both("test"), "cat", "dog"], "move what is trained on into {root}/train"),
        (both("train", "val", "valid"), "holds both val and valid.*dataset.train_dir="),
        (both("set/train", "set/val"), "one level deeper: dataset.train_dir={root}/set"),
        (both("set"), "holds cat and dog. Go one level deeper: dataset.train_dir={root}/set"),
        ([f"set/{n}" for n in range(9)], "holds 0, 1, 2, 3 and 5 more"),
    ],
)  # fmt: skip
def test_what_is_neither_is_refused_with_what_to_type(grow, folders, words):
    root = grow(*folders)
    with pytest.raises(UserError, match=words.format(root=root)):
        find_splits(root, is_image)


def test_what_is_typed_can_be_pasted(grow, monkeypatch):
    root = grow(*both("my set/train", "my set/val"), root="a photo's folder")
    monkeypatch.chdir(root.parent)
    with pytest.raises(UserError) as caught:
        find_splits(root, is_image)
    words = shlex.split(str(caught.value).partition("deeper: ")[2])
    assert words == ["dataset.train_dir=a photo's folder/my set"]


def test_a_folder_of_splits_is_no_folder_of_classes_to_evaluate_on(grow):
    from gapfc.evaluation.other_images import read_folder

    assert read_folder(grow(*both("train", "val"))).classes == ("train", "val")
