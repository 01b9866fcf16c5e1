"""Sizes against torch's own resizing."""

import pytest
import torch
from subjects import bare, composed, pictures
from torch.nn import functional

from gapfc.errors import UserError
from gapfc.heads import FC, GAP
from gapfc.model.classifier import Classifier
from gapfc.probes.size import FACTORS, size

N = 30


class Edges(torch.nn.Module):
    """A backbone that loses what is smaller than a pixel; it refuses images below 6."""

    def forward(self, images):
        if images.shape[2] < 6:
            raise UserError("too small")
        return (images - images.roll(1, 3)).abs()


def subject_of(head, backbone=None):
    random = torch.Generator().manual_seed(2)
    images = torch.randint(256, (N, 3, 8, 12), generator=random, dtype=torch.uint8)
    labels = torch.arange(N) % 3
    data = pictures(images, labels, torch.zeros(N, 4))
    model = bare(head) if backbone is None else Classifier(backbone, head)
    settings = ("dataset.image_size=native", "trainer.eval_batch_size=7")
    return composed(*settings, dataset=data, model=model), model, images, labels


def resized(images, height, width):
    return functional.interpolate(images, (height, width), mode="bilinear", antialias=True)


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(images.float() / 255).argmax(1) == labels).double().mean().item()


def test_native_and_resized_back():
    torch.manual_seed(3)
    subject, model, images, labels = subject_of(GAP((3, 8, 12), 3), Edges())
    found = size(subject)
    assert list(found.values) == ["0.5", "0.75", "1", "1.25", "1.5", "2"]
    for factor in FACTORS:
        there = resized(images, round(8 * factor), round(12 * factor))
        back = resized(there, 8, 12)
        values = found.values[f"{factor:g}"]
        assert values["resized_back"]["accuracy"] == pytest.approx(accuracy(model, back, labels))
        if factor == 0.5:  # 4 x 6
            assert values["native"]["accuracy"] is None
            assert "0.5.native.accuracy" not in found.yes
        else:
            assert values["native"]["accuracy"] == pytest.approx(accuracy(model, there, labels))
            assert found.yes[f"{factor:g}.native.accuracy"].shape == (1, N)
    assert found.values["1"]["native"] == found.values["1"]["resized_back"]


def test_a_head_of_one_size_has_the_control_alone():
    subject, *_ = subject_of(FC((3, 8, 12), 3, hidden=[]))
    found = size(subject)
    assert all(each["native"]["accuracy"] is None for each in found.values.values())
    assert {path.split(".")[-2] for path in found.yes} == {"resized_back"}
