"""Training on kept maps gives what training on the images gives, to the bit."""

import errno
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from gapfc.errors import UserError
from gapfc.experiment.experiment import Experiment
from gapfc.features.maps import TrainingMaps
from gapfc.features.store import Store
from gapfc.records.metrics_csv import read_rows
from gapfc.settings.compose import Composer

TINY = [
    "backbone.widths=[4,6]",
    "backbone.pool_after=[1,2]",
    "dataset.image_size=12",
    "dataset.train_limit=80",
    "dataset.test_limit=40",
    "dataset.val_fraction=0.05",
    "trainer.batch_size=16",
    "trainer.eval_batch_size=50",
    "trainer.epochs=2",
    "trainer.device=cpu",
    "trainer.precision=fp32",
    "trainer.progress=false",
    "optimizer.lr=0.01",
    "seed=3",
]


@pytest.fixture(autouse=True)
def as_before():
    """Experiments switch deterministic algorithms for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def build(tmp_path):
    composer = Composer([])

    def make(*options):
        root = f"cache_root={tmp_path / 'cache'}"
        return Experiment(composer.compose("train", [*TINY, root, *options]))

    return make


CASES = [
    ("backbone.trainable=none", "augment=none"),
    ("backbone.trainable=none", "augment=crop_flip", "augment.views=3"),
    ("backbone.trainable=last", "augment=none"),
    ("backbone.trainable=last", "augment=crop_flip", "augment.views=2"),
    ("backbone.trainable=none", "augment=none", "trainer.channels_last=false"),
    ("backbone.trainable=none", "augment=none", "trainer.precision=bf16", "head=spp"),
    ("backbone.trainable=none", "augment=none", "dataset.image_size=4"),  # a map of 1×1
]


@pytest.mark.parametrize("options", CASES, ids=[" ".join(case) for case in CASES])
def test_batches_logits_and_gradients_are_those_of_the_images(build, options):
    kept, anew = build(*options), build(*options, "trainer.cache_gib=0")
    assert isinstance(kept.batches, TrainingMaps)
    assert anew.feed.seconds is None
    assert kept.batches.steps == anew.batches.steps
    for epoch, start in ((0, 0), (1, 0), (1, 2)):
        of_maps, of_images = (list(each.batches.epoch(epoch, start)) for each in (kept, anew))
        assert len(of_maps) == len(of_images) == kept.batches.steps - start
        for (maps, labels), (images, same) in zip(of_maps, of_images, strict=True):
            assert torch.equal(labels, same)
            with kept.precision.autocast():
                lower = anew.model.lower(images)
                assert lower.dtype == maps.dtype
                assert lower.stride() == maps.stride()
                assert torch.equal(lower, maps)
                ours, theirs = kept.feed.network(kept.model)(maps), anew.model(images)
            assert torch.equal(ours, theirs)
    for split in ("train", "val", "test"):
        one, other = kept.evaluate(split), anew.evaluate(split)
        assert {k: v for k, v in one.items() if k not in ("each", "confusion")} == {
            k: v for k, v in other.items() if k not in ("each", "confusion")
        }
        assert torch.equal(kept.places[split], anew.places[split])


def test_the_images_that_are_shown_are_those_that_train_first(build):
    options = ("backbone.trainable=none", "augment=none")
    kept, anew = build(*options), build(*options, "trainer.cache_gib=0")
    shown, first = (made.batches.preview(16) for made in (kept, anew))
    assert shown.shape == first.shape == (16, 3, 12, 12)
    same = (shown[:, None] == first).flatten(2).all(2)
    assert same.any(0).all()
    assert same.any(1).all()


def scores(folder: Path):
    (file,) = folder.rglob("results.json")
    results = json.loads(file.read_text())
    rows = [
        {key: value for key, value in row.items() if key not in ("seconds", "images_per_second")}
        for row in read_rows(file.parent / "metrics.csv")
    ]
    return results, rows, (file.parent / "predictions.npz").read_bytes()


@pytest.mark.slow
def test_whole_runs_agree_and_a_second_one_finds_what_the_first_computed(gapfc):
    common = ["train", *TINY, "head=fc", "backbone.trainable=none", "augment=none"]
    found = {}
    for name, *options in (("first",), ("second",), ("without", "trainer.cache_gib=0")):
        done = gapfc(*common, f"output_root={name}", "cache_root=cache", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        said = [line for line in done.stdout.splitlines() if line.startswith("  frozen")]
        found[name] = (*scores(gapfc.folder / name), said)
    assert found["first"][1:3] == found["second"][1:3] == found["without"][1:3]
    assert "computed in" in found["first"][3][0]
    assert "found in cache/features" in found["second"][3][0]
    assert found["without"][3] == []
    assert found["first"][0]["frozen_features"]["seconds"] > 0
    assert found["second"][0]["frozen_features"]["seconds"] == 0
    assert found["without"][0]["frozen_features"] is None
    assert found["first"][0]["group"] == found["without"][0]["group"]


@pytest.mark.slow
def test_another_weight_size_or_picture_is_computed_anew(build, tmp_path):
    def kept(*options):
        build("backbone.trainable=none", "augment=none", *options)
        return len(Store(tmp_path / "cache", 0).entries())

    assert kept() == 2  # train and val
    assert kept("head=fc", "optimizer.lr=0.1", "trainer.epochs=5") == 2
    assert kept("seed=4") == 4  # the frozen weights are random here
    assert kept("dataset.image_size=16") == 6
    assert kept("dataset.mean=0.3") == 8
    assert kept("dataset.train_limit=70") == 10  # whose mean and deviation are other ones
    assert kept("trainer.precision=bf16") == 12


def test_where_maps_cannot_stand_in_the_header_says_why(build):
    def said(*options):
        made = build("backbone.trainable=none", *options)
        assert made.feed.seconds is None
        assert not isinstance(made.batches, TrainingMaps)
        return made.feed.said

    assert "augment.views=4 or augment=none" in said("augment=crop_flip")
    assert "mixup" in said("augment=none", "augment.mixup=0.2")
    assert "several sizes" in said("augment=none", "dataset.train_sizes=[12,8]")
    assert "more than trainer.cache_gib=1e-06" in said("augment=none", "trainer.cache_gib=1e-6")
    made = build("augment=none")
    assert (made.feed.seconds, made.feed.said) == (None, None)  # nothing is frozen


def test_a_full_disk_is_told_and_the_run_goes_on_with_images(build, monkeypatch):
    def full(self, numbers):
        raise OSError(errno.ENOSPC, "No space left on device", "maps")

    monkeypatch.setattr("gapfc.features.store.Writer.write", full)
    made = build("backbone.trainable=none", "augment=none")
    assert made.feed.seconds is None
    assert made.feed.said == (
        "computed at every step: maps cannot be written: No space left on device"
    )
    assert made.evaluate("val") is not None


def test_maps_are_of_the_weights_that_a_resumed_run_has(build):
    made = build("backbone.trainable=none", "augment=none")
    before = next(made.batches.epoch(0))[0]
    made.feed.follow()
    assert torch.equal(next(made.batches.epoch(0))[0], before)
    with torch.no_grad():
        next(made.model.backbone.parameters()).add_(0.1)
    made.feed.follow()
    maps, _ = next(made.batches.epoch(0))
    assert not torch.equal(maps, before)
    anew = build("backbone.trainable=none", "augment=none", "trainer.cache_gib=0")
    anew.model.load_state_dict(made.model.state_dict())
    images, _ = next(anew.batches.epoch(0))
    assert torch.equal(anew.model.lower(images), maps)


def test_photos_that_were_left_out_are_told_of_again_and_refused_if_they_may_not_be(
    build, tmp_path, caplog
):
    for number in range(24):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(256, (12, 12, 3), generator=torch.Generator().manual_seed(number))
        Image.fromarray(pixels.byte().numpy()).save(folder / f"{number}.png")
    for file in (tmp_path / "photos" / "a").iterdir():
        if file.name in ("0.png", "2.png", "4.png", "6.png", "8.png", "10.png"):
            file.write_bytes(file.read_bytes()[:300])  # its header is whole
    photos = [f"dataset.train_dir={tmp_path / 'photos'}", "dataset=folder", "dataset.workers=0"]
    photos += [
        "dataset.val_fraction=0.3",
        "dataset.check_headers=false",
        "augment=none",
        "backbone.trainable=none",
    ]
    first = build(*photos, "dataset.skip_corrupt=true")
    caplog.clear()
    second = build(*photos, "dataset.skip_corrupt=true")
    assert second.feed.seconds == 0
    left_out = len(first.dataset.train) - len(first.feed.training._maps[0].labels)
    assert left_out > 0
    assert f"Skipped {left_out} unreadable image file" in caplog.text
    with pytest.raises(UserError, match="unreadable image file"):
        build(*photos, "dataset.skip_corrupt=false")
