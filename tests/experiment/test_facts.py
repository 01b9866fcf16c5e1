"""What is said of the images before training."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gapfc.data.arrays import Arrays
from gapfc.data.dataset import Dataset
from gapfc.data.files import Files
from gapfc.experiment.facts import facts


def split(counts, sizes=None):
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    if sizes is None:
        return Arrays(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels)
    return Files([f"{i}.png" for i in range(len(labels))], labels, sizes=sizes)


def dataset(names, counts, val=200, sizes=None, **more):
    validation = split([val] + [1] * (len(names) - 1))
    return Dataset(
        "set", tuple(names), split(counts, sizes), validation, None, (0.5,) * 3, (0.5,) * 3, **more
    )


def said(*args, final="best", **more):
    return dict(facts(dataset(*args, **more), final))


def test_few_classes_with_their_counts():
    assert said(["ants", "bees"], [98, 97])["classes"] == "ants (98), bees (97)"
    assert said(["a", "b"], [1200, 1200])["classes"] == "1,200 train of each: a, b"


def test_of_many_classes_the_first_and_the_smallest():
    names, counts = [f"class{i}" for i in range(40)], [5 + i % 7 for i in range(40)]
    counts[33] = 2
    assert said(names, counts)["classes"] == (
        "class0 (5), class1 (6) and 38 more; smallest: class33 (2)"
    )


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=60), st.integers(0, 50)), min_size=2).filter(
        lambda classes: any(count for _, count in classes)
    )
)
def test_any_names_fit_a_line_and_cannot_control_the_terminal(classes):
    names, counts = zip(*classes, strict=True)
    line = said(names, counts)["classes"]
    assert len(line) <= 12 + 68 + 24  # a single long name more at most
    assert line.isprintable()


def test_ten_thousand_classes_are_one_line():
    line = said([f"n{i:08d}" for i in range(10_000)], [1] * 10_000)["classes"]
    assert line.endswith("more")
    assert len(line) <= 68


def test_sizes_of_photos():
    sizes = [(10, 20), (30, 5), (100, 90), (12, 12), (40, 40)]
    assert said(["a", "b"], [3, 2], sizes=sizes)["photos"] == (
        "30×20 (median height×width), 12×12 to 100×90"
    )
    assert said(["a", "b"], [3, 2], sizes=[(9, 8)] * 5)["photos"] == "all of 9×8 (height×width)"
    assert "photos" not in said(["a", "b"], [3, 2])


def test_where_splits_come_from():
    own = {"val": "photos/val", "test": "photos/test"}
    assert said(["a", "b"], [3, 2], origins=own)["splits"] == "val: photos/val"  # there is no test
    assert "splits" not in said(["a", "b"], [3, 2])


@pytest.mark.parametrize("images", [2, 21, 50, 99])
def test_few_validation_images_are_said_to_be_noisy(images):
    error = 100 * math.sqrt(0.9 * 0.1 / images)
    line = said(["a", "b"], [3, 2], val=images - 1)["noise"]
    assert line.startswith(f"{images} val images: an accuracy of 90% has a standard error of ")
    assert f"{error:.1f} points" in line
    draws = torch.rand(20_000, images, generator=torch.Generator().manual_seed(0)) < 0.9
    assert draws.double().mean(dim=1).std().item() * 100 == pytest.approx(error, rel=0.03)


def test_a_hundred_are_not_nor_where_none_chooses():
    assert "noise" not in said(["a", "b"], [3, 2], val=99)
    assert "noise" not in said(["a", "b"], [3, 2], val=20, final="last")
