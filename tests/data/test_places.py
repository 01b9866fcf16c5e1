"""Every image keeps its place among those that the source gave, whatever is picked or skipped."""

import numpy as np
import pytest
import torch
from pixels import evaluation
from sklearn.datasets import load_digits

from gapfc.data.dataset import load


def test_places_are_those_in_the_source_after_every_choice(config):
    chosen = ["dataset=digits", "dataset.classes=[7,3]", "dataset.shots=9", "dataset.test_limit=20"]
    dataset = load(config(*chosen).dataset, "nowhere")
    pixels, labels = load_digits(return_X_y=True)
    pixels = np.rint(pixels * (255 / 16)).reshape(-1, 8, 8)
    for split, count in ((dataset.train, 18), (dataset.val, 29), (dataset.test, 20)):
        places = split.places.numpy()
        assert len(np.unique(places)) == len(split) == count
        assert np.array_equal(split.images[:, 0].numpy(), pixels[places])
        assert [dataset.classes[i] for i in split.labels] == [str(n) for n in labels[places]]
    whole = load(config("dataset=digits", "dataset.classes=[7,3]").dataset, "nowhere")
    assert set(dataset.test.places.tolist()) < set(whole.test.places.tolist())


def test_a_set_as_its_source_gives_it_is_counted_through(config):
    dataset = load(config("dataset=synthetic_shapes", "dataset.test_images=30").dataset, "nowhere")
    assert dataset.test.places.tolist() == list(range(30))


@pytest.mark.parametrize(
    "how",
    [
        ["dataset.image_size=16", "dataset.residency=device"],
        ["dataset.image_size=16", "dataset.residency=stream"],
        ["dataset.image_size=native", "dataset.size_multiple=1"],
    ],
    ids=["resident", "stream", "native"],
)
def test_skipped_files_do_not_shift_the_places_of_others(config, tree, how):
    (tree / "train" / "cat" / "03.png").write_bytes(b"not an image")
    cut = tree / "train" / "dog" / "01.png"
    cut.write_bytes(cut.read_bytes()[:200])  # its header is good: only decoding finds out
    every = [str(path) for path in sorted((tree / "train").rglob("*.png"))]
    composed = config(
        "dataset=folder",
        f"dataset.train_dir={tree}/train",
        f"dataset.val_dir={tree}/val",
        "dataset.skip_corrupt=true",
        "dataset.workers=0",
        "trainer.eval_batch_size=7",
        "trainer.batch_size=20",
        *how,
    )
    dataset = load(composed.dataset, "nowhere")
    batches = evaluation(dataset, "train", composed, "cpu")
    labels = torch.cat([labels for _, labels in batches])
    found = [every[place] for place in batches.places.tolist()]
    assert sorted(found) == [path for path in every if not path.endswith(("cat/03.png", str(cut)))]
    assert ["cat" in path for path in found] == [label == 0 for label in labels.tolist()]


def test_places_are_of_the_latest_pass(config, arrays):
    batches = evaluation(arrays(), "test", config("trainer.eval_batch_size=6"), "cpu")
    for _ in batches:
        pass
    assert batches.places.tolist() == list(range(15))
    next(iter(batches))
    assert batches.places.tolist() == list(range(6))
