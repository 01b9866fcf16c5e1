"""Images on a canvas: where they stand, what is black, and what moves with it."""

import pytest
import torch
from pixels import denormalize, evaluation, loader, training

from gapfc.data.dataset import load
from gapfc.data.settings import LoaderSettings
from gapfc.errors import UserError
from gapfc.records.results import read_results

CANVAS = ["dataset.image_size=[12,10]", "dataset.canvas=17", "trainer.batch_size=8"]


def pixels(batches, dataset):
    """uint8 [N, 3, h, w] of all batches."""
    return torch.cat([denormalize(images, dataset) for images, _ in batches])


@pytest.mark.parametrize("residency", ["device", "stream"])
def test_images_stand_in_the_middle_of_black(config, arrays, residency):
    dataset, settings = arrays(), config(*CANVAS, f"dataset.residency={residency}")
    batches = evaluation(dataset, "test", settings, "cpu")
    shown = pixels(batches, dataset)
    assert shown.shape == (15, 3, 17, 17)
    inside = shown[:, :, 2:14, 3:13]  # 5 rows and 7 columns are left over
    assert torch.equal(inside, dataset.test.images.expand(-1, 3, -1, -1))
    assert int(shown.long().sum()) == int(inside.long().sum())
    assert torch.equal(torch.cat([labels for _, labels in batches]), dataset.test.labels)
    assert batches.places.tolist() == list(range(15))
    images = loader(dataset, settings)
    assert images.input_size == (17, 17)
    assert torch.equal(pixels(images.evaluation("test", (17, 17)), dataset), shown)


def test_a_shift_cuts_nothing_off(config, arrays):
    dataset = arrays(48)
    settings = config(*CANVAS, "augment=none", "augment.crop_padding=2")
    seen = pixels(training(dataset, settings, "cpu").epoch(0), dataset)
    assert seen.shape == (48, 3, 17, 17)
    sums = dataset.train.images.long().sum((1, 2, 3)) * 3
    assert sorted(seen.long().sum((1, 2, 3)).tolist()) == sorted(sums.tolist())
    corners = {tuple((image.sum(0) > 0).nonzero()[0].tolist()) for image in seen}
    assert len(corners) > 10


def test_photos_too(config, tree):
    settings = config("dataset=folder", f"dataset.train_dir={tree}/train", "dataset.image_size=16",
                      "dataset.canvas=20", "dataset.workers=0")  # fmt: skip
    dataset = load(settings.dataset, "nowhere")
    shown = pixels(evaluation(dataset, "test", settings, "cpu"), dataset)
    expected = torch.stack([dataset.test.read(i, (16, 16)) for i in range(len(dataset.test))])
    assert torch.equal(shown[:, :, 2:18, 2:18], expected)
    assert shown[:, :, [0, 1, 18, 19]].sum() == shown[..., [0, 1, 18, 19]].sum() == 0


def test_at_another_size_image_and_canvas_keep_their_proportion(config, arrays):
    dataset = arrays()
    settings = config("dataset.image_size=[12,10]", "dataset.canvas=20")
    shown = pixels(evaluation(dataset, "test", settings, "cpu", size=(40, 10)), dataset)
    assert shown.shape == (15, 3, 40, 10)
    expected = dataset.test.resized((24, 5)).expand(-1, 3, -1, -1)
    assert torch.equal(shown[:, :, 8:32, 2:7], expected)
    assert int(shown.long().sum()) == int(expected.long().sum())


def test_train_sizes_are_of_the_canvas(config, arrays):
    settings = config(*CANVAS, "dataset.train_sizes=[17,9]")
    batches = training(arrays(), settings, "cpu")
    assert [next(batches.epoch(epoch))[0].shape[2:] for epoch in range(2)] == [(17, 17), (9, 9)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["dataset.canvas=11"], r"canvas=11 is smaller than .*image_size=12×10: it takes 12 or"),
        (["dataset.canvas=0"], r"dataset.canvas takes a side in pixels, 1 or more, or null"),
        (["dataset.canvas=20", "dataset.image_size=native"], "cannot be used with .*=native"),
        (
            ["dataset.canvas=20", "dataset.train_sizes=[24]"],
            r"24x24, larger than dataset.canvas=20",
        ),
    ],
)
def test_what_cannot_be_is_refused(config, options, message):
    with pytest.raises(UserError, match=message):
        LoaderSettings.of(config("dataset.image_size=[12,10]", *options))


@pytest.mark.slow
def test_a_run_has_the_canvas_as_its_input(gapfc):
    settings = ("dataset.image_size=8", "dataset.canvas=12", "backbone.widths=[4,4]",
                "backbone.pool_after=[1,2]")  # fmt: skip
    done = gapfc("train", *settings, "head=fc", "trainer.epochs=1", "dataset.train_limit=64",
                 "dataset.test_limit=20", "trainer.device=cpu")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = gapfc.folder.glob("outputs/train/digits/convnet/fc/*")
    results = read_results(path)
    assert results["input"] == [3, 12, 12]
    assert results["feature_map"] == [4, 3, 3]
    described = gapfc("inspect", *settings, "head=fc", "dataset=mnist")
    assert "12×12" in described.stdout
