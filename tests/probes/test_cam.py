"""The pointing game on maps known by hand, and against the same game in a few lines."""

import pytest
import torch
from subjects import bare, composed, pictures
from torch.nn import functional

from gapfc.errors import UserError
from gapfc.heads import NIN
from gapfc.probes.boxes import boxes_in
from gapfc.probes.cam import cam

NARROW = ["backbone.widths=[8,12,16]", "backbone.pool_after=[1,2]", "trainer.eval_batch_size=16"]
SHAPES = ["dataset=synthetic_shapes", "dataset.train_images=60", "dataset.test_images=40"]


def test_the_true_class_has_to_point_into_the_box():
    images = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    boxes = [[2, 1, 4, 5]] * 5  # columns 2 and 3, rows 1 to 4
    images[0, 0, 4, 2] = 200  # inside, in the channel of its class
    images[1, 1, 5, 2] = 200  # one row below
    images[2, 0, 4, 2] = 200  # inside, but for another class
    images[3, 2, 2, 3], images[3, 2, 7, 7] = 60, 40  # 60 % inside
    images[4, 0, 1, 4], images[4, 0, 1, 3] = 90, 30  # a column to the right, 25 % inside
    head = NIN((3, 8, 8), 3, conv=False)
    dark = NIN((3, 8, 8), 3, conv=False, relu=False)
    dark.relu = torch.nn.Threshold(1.0, 0.0)  # nothing is left of any map
    subject = composed(
        "dataset.image_size=native",
        dataset=pictures(images, [0, 1, 1, 2, 0], boxes),
        model=bare(head),
        untrained=bare(dark),
    )
    found = cam(subject)
    assert found.yes["pointing"].tolist() == [[True, False, False, True, False]]
    assert found.yes.keys() == {"pointing"}
    assert found.values == {
        "pointing": pytest.approx(2 / 5),
        "energy": pytest.approx((1 + 0 + 0 + 0.6 + 0.25) / 5),
        "chance": pytest.approx(8 / 64),
        "untrained": 0,
    }


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_corner_of_the_map_is_the_middle_of_its_plateau(row, column):
    """Of 2 cells over 8 pixels, the outer 2 pixels lie beyond a cell's centre and are equal."""
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    images[:, :, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] = 100
    corner = [6 * column, 6 * row, 6 * column + 2, 6 * row + 2]
    centre = [2 + 2 * column, 2 + 2 * row, 4 + 2 * column, 4 + 2 * row]
    model = bare(NIN((3, 2, 2), 3, conv=False))
    model.backbone = torch.nn.AvgPool2d(4)
    data = pictures(images, [0, 1], [corner, centre])
    found = cam(composed("dataset.image_size=native", dataset=data, model=model))
    assert found.yes["pointing"].tolist() == [[True, False]]


@pytest.mark.parametrize("head", ["gap", "nin", "fc", "spp"])
@pytest.mark.parametrize("size", [32, 40])
def test_equals_the_game_in_a_few_lines(head, size):
    given = [*NARROW, *SHAPES, f"dataset.image_size={size}", f"head={head}"]
    subject = composed(*given)
    found = cam(subject)
    model, split = subject.model, subject.loader.dataset.test
    seen = []
    model.head.register_forward_hook(lambda _, arguments, logits: seen.append((arguments, logits)))
    images, labels = next(
        iter(composed(*given, "trainer.eval_batch_size=40").loader.evaluation("test"))
    )
    model(images)
    ((features,), logits), points, energy, area = seen[0], [], [], []
    (gradient,) = torch.autograd.grad(logits[torch.arange(40), labels].sum(), features)
    for number, (left, top, right, bottom) in enumerate((split.boxes * size / 32).tolist()):
        if head == "gap":
            weight = model.head.classifier[0].weight[labels[number]]
            small = (weight[:, None, None] * features[number]).sum(0)
        elif head == "nin":
            small = model.head.conv(features[number])[labels[number]]
        else:
            weight = gradient[number].mean((1, 2))
            small = (weight[:, None, None] * features[number]).sum(0)
        small = small.detach().clamp(min=0)
        large = functional.interpolate(small[None, None], (size, size), mode="bilinear")[0, 0]
        rows, columns = (
            (large >= large.max() * (1 - 1e-5)).nonzero().float().add(0.5).mean(0).tolist()
        )
        points.append(large.max() > 0 and top <= rows < bottom and left <= columns < right)
        mask = torch.zeros(size, size)
        for y in range(size):
            for x in range(size):
                mask[y, x] = top <= y + 0.5 < bottom and left <= x + 0.5 < right
        area.append(mask.mean().item())
        energy.append(((large * mask).sum() / large.sum().clamp(min=1e-30)).item())
    assert found.yes["pointing"][0].tolist() == [bool(p) for p in points]
    assert found.values["pointing"] == pytest.approx(sum(points) / 40)
    assert found.values["energy"] == pytest.approx(sum(energy) / 40, abs=1e-5)
    assert found.values["chance"] == pytest.approx(sum(area) / 40, abs=1e-6)
    assert found.values["untrained"] == found.values["pointing"]  # this one is untrained


def test_a_data_set_without_boxes_is_named():
    subject = composed("dataset=digits", *NARROW)
    with pytest.raises(
        UserError, match="probe cam needs to know where each object is, and dataset=digits"
    ):
        cam(subject)


def test_boxes_are_moved_as_the_images_are():
    """Resized from 32 pixels to 16 × 64, then in the middle of 21 × 80."""
    subject = composed(*NARROW, *SHAPES, "dataset.image_size=[16,64]")
    stored = subject.loader.dataset.test.boxes
    left, top, right, bottom = boxes_in(subject, (21, 80), "cam").unbind(1)
    assert torch.equal(left, stored[:, 0] * 2 + 8)
    assert torch.equal(top, stored[:, 1] / 2 + 2)
    assert torch.equal(right, stored[:, 2] * 2 + 8)
    assert torch.equal(bottom, stored[:, 3] / 2 + 2)
