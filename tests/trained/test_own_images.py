"""Which images are known to be of those that a run was trained on."""

import pytest

from gapfc.data.sources.locate import FOLDER
from gapfc.trained.own_images import trained_on

CLASSES = ("ants", "bees")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """photos/{ants,bees}, the same in splits/{train,val,test}, and an archive that a link is to."""
    monkeypatch.chdir(tmp_path)
    for root in ("photos", "splits/train", "splits/val", "splits/test", "data/archive"):
        for name in CLASSES:
            (tmp_path / root / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("photos")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "ants").symlink_to(tmp_path / "data" / "archive" / "ants")
    return tmp_path


@pytest.mark.parametrize(
    ("dirs", "path", "own"),
    [
        ({"train_dir": "photos"}, "photos/bees/1.jpg", True),
        ({"train_dir": "photos"}, "link/bees/1.jpg", True),
        ({"train_dir": "link"}, "photos/bees/1.jpg", True),
        ({"train_dir": "photos"}, "photos2/bees/1.jpg", False),
        ({"train_dir": "photos"}, "splits/train/bees/1.jpg", False),
        ({"train_dir": "archive"}, "data/archive/ants/1.jpg", True),
        ({"train_dir": "linked"}, "linked/ants/1.jpg", True),
        ({"train_dir": "splits/train", "test_dir": "splits/test"}, "splits/test/ants/1.jpg", False),
        ({"train_dir": "splits"}, "splits/train/ants/1.jpg", True),
        ({"train_dir": "splits"}, "splits/val/ants/1.jpg", False),
        ({"train_dir": "splits"}, "splits/test/ants/1.jpg", False),
        ({"train_dir": "gone"}, "gone/ants/1.jpg", False),
        ({"train_dir": "~nobody-of-this-name"}, "photos/ants/1.jpg", False),
        ({}, "photos/ants/1.jpg", False),
    ],
)
def test_images_below_the_training_folder_and_in_no_other(dirs, path, own):
    config = {"dataset": {"_target_": FOLDER, **dirs}, "data_root": "data"}
    assert trained_on(config, CLASSES, [path, "elsewhere/ants/2.jpg"]) == own
    assert not trained_on(config, CLASSES, [])


def test_a_class_may_be_called_test():
    config = {"dataset": {"_target_": FOLDER, "train_dir": "splits"}, "data_root": "data"}
    assert trained_on(config, ("test", "val"), ["splits/test/1.jpg"])


def test_only_of_dataset_folder_it_is_known():
    config = {"dataset": {"_target_": "gapfc.data.Digits", "train_dir": "photos"}}
    assert not trained_on(config, CLASSES, ["photos/ants/1.jpg"])
