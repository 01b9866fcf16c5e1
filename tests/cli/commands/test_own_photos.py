"""`gapfc train` on a folder of splits, as a user types it."""

import numpy as np
import pytest
from PIL import Image
from processes import run

from gapfc.records.inputs import Inputs
from gapfc.records.results import read_results


def test_a_folder_of_splits_from_its_header_to_its_record(tmp_path):
    draw = np.random.default_rng(0)
    for split, count in (("Train", 6), ("valid", 3)):
        for name in ("an ant", "bee\x1b[31m", "fly"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count if (split, name) != ("valid", "fly") else 0):
                pixels = draw.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    code, out, err = run(
        "train", "dataset=folder", "dataset.train_dir=photos", "dataset.image_size=16",
        "dataset.resize=pad", "dataset.val_limit=5", "backbone.widths=[8,8]",
        "backbone.pool_after=[1]", "trainer.epochs=1", "trainer.device=cpu", folder=tmp_path,
    )  # fmt: skip
    assert code == 0, err
    header = (out + err).split("              training")[0]
    for line in (
        "photos holds splits: Train and valid are used as such.",
        "photos/valid has no images of fly: its accuracy says nothing of that class",
        "  images    18 train, 5 val, 3 classes, 16×16",
        r"  classes   6 train of each: an ant, bee\x1b[31m, fly",
        "  photos    22×30 (median height×width), 20×30 to 25×30",
        "  splits    val: photos/valid",
        "  noise     5 val images: an accuracy of 90% has a standard error of 13.4",
    ):
        assert line in header.splitlines(), header
    assert max(map(len, header.splitlines())) <= 80
    (results,) = tmp_path.glob("outputs/train/folder/*/*/*")
    inputs = Inputs.from_record(read_results(results))
    assert (inputs.resize, inputs.crop_share) == ("pad", 1.0)


def test_a_mix_is_refused_before_anything_is_written(tmp_path):
    for folder in ("train/a", "train/b", "val/a", "val/b", "test"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "photos" / folder / "0.png")
    code, _, err = run("train", "dataset=folder", "dataset.train_dir=photos", folder=tmp_path)
    assert code == 2
    assert "dataset.train_dir=photos/train dataset.val_dir=photos/val" in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("photos", "said"),
    [
        (1, "Class 'ants' has 1 image, and is the only one. A classifier needs a second class"),
        (9, "needs two classes or more; these data have one: ants. Of photos, each has a folder"),
    ],
)
def test_a_class_alone_is_told_that_it_needs_another(tmp_path, photos, said):
    (tmp_path / "photos" / "ants").mkdir(parents=True)
    for number in range(photos):
        path = tmp_path / "photos" / "ants" / f"{number}.png"
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    given = ("dataset=folder", "dataset.train_dir=photos", "dataset.image_size=8")
    code, _, err = run("train", *given, "trainer.device=cpu", folder=tmp_path)
    assert code == 2
    assert said in err
