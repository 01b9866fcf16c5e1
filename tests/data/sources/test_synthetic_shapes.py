"""Synthetic shapes: where they stand, that their boxes are right and that labels can be learnt."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from gapfc.data.dataset import load
from gapfc.data.sources.synthetic_shapes import (
    QUADRANTS,
    SHAPES,
    _enlarged_on_a_torus,
    _mask,
    quadrants,
    synthetic_shapes,
)
from gapfc.errors import UserError

NOWHERE = Path("nowhere")


@pytest.mark.parametrize("size", [16, 32, 45])
def test_boxes_lie_in_the_labelled_quadrant(size):
    source = synthetic_shapes(NOWHERE, "quadrant", size, 600, 10)
    assert source.classes == QUADRANTS
    half = size / 2
    for box, label in zip(source.train.boxes, source.train.labels.tolist(), strict=True):
        left, top, right, bottom = box.tolist()
        assert 0 <= left < right <= size
        assert 0 <= top < bottom <= size
        assert (left >= half) if label % 2 else (right <= half + 0.5)
        assert (top >= half) if label // 2 else (bottom <= half + 0.5)


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_a_shape_touches_all_sides_of_its_box(shape):
    boxes = torch.tensor([[3.0, 5.0, 15.0, 17.0], [0.0, 0.0, 11.0, 11.0]])
    for box, mask in zip(
        boxes.int().tolist(), _mask(boxes, torch.tensor([shape] * 2), 32), strict=True
    ):
        rows, columns = mask.nonzero().unbind(1)
        assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box


def test_shapes_differ_and_are_balanced():
    boxes = torch.tensor([[4.0, 4.0, 18.0, 18.0]]).expand(6, 4)
    masks = _mask(boxes, torch.arange(6), 32).flatten(1).float()
    assert len(masks.unique(dim=0)) == 6
    source = synthetic_shapes(NOWHERE, "shape", 32, 2400, 240)
    assert source.train.labels.bincount().tolist() == [400] * 6
    assert source.test.labels.bincount().tolist() == [40] * 6


def test_labels_say_nothing_of_each_other():
    shapes = synthetic_shapes(NOWHERE, "shape", 32, 2400, 10).train
    quadrants = synthetic_shapes(NOWHERE, "quadrant", 32, 2400, 10).train
    assert torch.equal(shapes.images, quadrants.images)
    pairs = (shapes.labels * 4 + quadrants.labels).bincount()
    assert pairs.tolist() == [100] * 24


def test_the_object_stands_out_inside_its_box_only():
    train = synthetic_shapes(NOWHERE, "shape", 32, 300, 10).train
    square = train.take((train.labels == 1).nonzero().flatten())
    for image, box in zip(square.images, square.boxes.int().tolist(), strict=True):
        left, top, right, bottom = box
        inside = image[:, top:bottom, left:right].flatten(1)
        assert (inside == inside[:, :1]).all()
        around = image.float().mean(dim=(1, 2)) - inside[:, 0].float()
        assert around.abs().max() > 30


def test_the_seed_decides_and_more_training_images_leave_the_test_alone():
    first, again = (
        synthetic_shapes(NOWHERE, seed=3, train_images=50, test_images=20) for _ in "ab"
    )
    assert torch.equal(first.train.images, again.train.images)
    more = synthetic_shapes(NOWHERE, seed=3, train_images=70, test_images=20)
    other = synthetic_shapes(NOWHERE, seed=4, train_images=50, test_images=20)
    assert torch.equal(first.test.images, more.test.images)
    assert not torch.equal(first.test.images, other.test.images)


def test_boxes_follow_their_images_through_the_splits(config):
    dataset = load(config("dataset=synthetic_shapes", "dataset.train_images=200").dataset, ".")
    whole = synthetic_shapes(NOWHERE, train_images=200).train
    number = {image.numpy().tobytes(): index for index, image in enumerate(whole.images)}
    for split in (dataset.train, dataset.val):
        for image, box in zip(split.images, split.boxes, strict=True):
            assert torch.equal(box, whole.boxes[number[image.numpy().tobytes()]])


def test_held_out_quadrants_are_only_in_the_test(config):
    """Of the same images, so that runs with and without them are compared on equal pictures."""
    every = synthetic_shapes(NOWHERE, train_images=240, test_images=120)
    where = synthetic_shapes(NOWHERE, "quadrant", train_images=240, test_images=120)
    held = ["bottom_right", "top_right"]
    part = synthetic_shapes(NOWHERE, train_images=240, test_images=120, holdout_quadrants=held)
    for split, wanted, count in (("train", (0, 2), 120), ("test", (1, 3), 60)):
        labels = getattr(where, split).labels
        expected = getattr(every, split).take(
            torch.isin(labels, torch.tensor(wanted)).nonzero().flatten()
        )
        found = getattr(part, split)
        assert len(found) == count
        for name in ("images", "labels", "boxes"):
            assert torch.equal(getattr(found, name), getattr(expected, name))
    typed = [f"dataset.holdout_quadrants=[{','.join(held)}]", "dataset.train_images=240"]
    dataset = load(config("dataset=synthetic_shapes", *typed).dataset, ".")
    assert len(dataset.train) + len(dataset.val) == 120
    assert (dataset.val.boxes[:, 0] < 16).all()
    assert (dataset.test.boxes[:, 0] >= 16).all()


@pytest.mark.parametrize("size", [16, 45])
def test_quadrants_of_boxes_are_the_labels(size):
    train = synthetic_shapes(NOWHERE, "quadrant", size, 300, 10).train
    assert torch.equal(quadrants(train.boxes, train.size), train.labels)


def test_a_seamless_ground_is_the_usual_one_on_a_torus_and_turned():
    coarse = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    ground = _enlarged_on_a_torus(coarse, 40, torch.Generator().manual_seed(1))
    down, right = torch.randint(40, (2, 2), generator=torch.Generator().manual_seed(1)).tolist()
    usual = functional.interpolate(coarse, size=(40, 40), mode="bilinear")[..., 4:36, 4:36]
    for turned, inner, *by in zip(ground, usual, down, right, strict=True):
        assert by != [0, 0]
        torch.testing.assert_close(turned.roll(by, (1, 2))[..., 4:36, 4:36], inner)


@pytest.mark.parametrize("dim", [2, 3])
def test_no_place_of_a_seamless_ground_is_told_from_another(dim):
    # Bends are at the lattice of the drawn values alone: where that lies tells the place.
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(4000, 1, 5, 5, generator=generator)
    ground = _enlarged_on_a_torus(coarse, 40, generator)
    bend = ground.roll(1, dim) - 2 * ground + ground.roll(-1, dim)
    strength = bend.square().mean([each for each in range(4) if each != dim])
    assert strength.max() / strength.min() < 1.3
    usual = functional.interpolate(coarse, size=(40, 40), mode="bilinear")
    bend = (usual.roll(1, dim) - 2 * usual + usual.roll(-1, dim)).square()
    strength = bend.mean([each for each in range(4) if each != dim])
    assert strength.max() / strength.min() > 100


def test_a_seamless_ground_joins_at_the_borders():
    def seam(split):
        side = split.images.float().div(255)
        return (side[..., 0] - side[..., -1]).square().mean()

    plain, seamless = (synthetic_shapes(NOWHERE, seamless=on).test for on in (False, True))
    assert torch.equal(plain.boxes, seamless.boxes)
    assert torch.equal(plain.labels, seamless.labels)
    # Neighbours within an image differ by 0.024, most of it noise (2 · 0.1²).
    assert seam(plain) > 0.06
    assert seam(seamless) < 0.03


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": "colour"}, "shape or quadrant"),
        ({"size": 8}, "dataset.size takes 16 pixels or more; got 8"),
        ({"holdout_quadrants": ["left"]}, r"takes a list of top_left, .*, or \[\]; got \[left\]"),
        (
            {"holdout_quadrants": ["top_left"], "label": "quadrant"},
            "label=quadrant asks for the quadrants.*take dataset.label=shape",
        ),
        (
            {"holdout_quadrants": list(QUADRANTS)},
            "leaves 0 training and 1000 test images: name fewer",
        ),
        ({"seamless": 1}, "dataset.seamless takes true or false; got 1"),
        ({"train_images": 0}, "dataset.train_images takes a whole number of at least 1"),
    ],
)
def test_bad_settings_are_named(options, words):
    with pytest.raises(UserError, match=words):
        synthetic_shapes(NOWHERE, **options)
