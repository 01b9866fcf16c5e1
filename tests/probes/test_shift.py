"""Shifts against loops over pixels, under a classifier of pixels that shifts do matter to."""

import numpy as np
import pytest
import torch
from subjects import bare, composed, pictures

from gapfc.heads import FC
from gapfc.probes.seeded import SEED
from gapfc.probes.shift import shift

SIDE, N = 9, 25  # a quarter of the side is 2, an eighth 1


def pixels(channels=3, n=N, side=SIDE):
    random = torch.Generator().manual_seed(1)
    return torch.randint(256, (n, channels, side, side), generator=random, dtype=torch.uint8)


def subject_of(images, side=SIDE):
    torch.manual_seed(0)
    model = bare(FC((3, side, side), 3, hidden=[]))
    labels = torch.arange(len(images)) % 3
    data = pictures(images, labels, torch.zeros(len(images), 4))
    settings = ("dataset.image_size=native", "trainer.eval_batch_size=7")
    return composed(*settings, dataset=data, model=model), model, labels


def moved(image, down, right, circular):
    """One image [c, h, w], pixel by pixel."""
    height, width = image.shape[1:]
    found = torch.zeros_like(image)
    for y in range(height):
        for x in range(width):
            top, left = y - down, x - right
            if circular:
                found[:, y, x] = image[:, top % height, left % width]
            elif 0 <= top < height and 0 <= left < width:
                found[:, y, x] = image[:, top, left]
    return found


def seen(model, images):
    with torch.no_grad():
        return model(images.expand(-1, 3, -1, -1).float() / 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_shift_is_the_mean_over_four_directions(channels):
    images = pixels(channels)
    subject, model, labels = subject_of(images)
    found = shift(subject)
    clean = seen(model, images).argmax(1)
    assert {kind: list(found.values[kind]) for kind in ("zero", "circular")} == {
        "zero": ["1", "2"],
        "circular": ["1", "2"],
    }
    for kind in ("zero", "circular"):
        for n in (1, 2):
            steps = [(n, 0), (-n, 0), (0, n), (0, -n)]
            there = [
                torch.stack([moved(i, down, right, kind == "circular") for i in images])
                for down, right in steps
            ]
            predictions = torch.stack([seen(model, each).argmax(1) for each in there])
            accuracy = (predictions == labels).double().mean().item()
            values = found.values[kind][str(n)]
            assert values["accuracy"] == pytest.approx(accuracy)
            assert values["drop"] == pytest.approx(
                (clean == labels).double().mean().item() - accuracy
            )
            assert values["consistency"] == pytest.approx(
                (predictions == clean).double().mean().item()
            )
            yes = found.yes[f"{kind}.{n}.accuracy"]
            assert yes.tolist() == (predictions == labels).tolist()
            assert found.yes[f"{kind}.{n}.consistency"].shape == (4, N)
            eces = [ece(seen(model, each).softmax(1), labels) for each in there]
            assert values["ece"] == pytest.approx(np.mean(eces), abs=1e-6)


def ece(p, labels, bins=15):
    confidence, prediction = p.max(1)
    bin_of = (confidence * bins).ceil()
    return sum(
        abs((confidence[bin_of == b] - (prediction == labels)[bin_of == b].float()).sum().item())
        for b in range(bins + 1)
    ) / len(labels)


def test_a_pair_is_two_random_shifts_of_each_image():
    images = pixels(side=16)  # up to 2 pixels
    subject, model, _ = subject_of(images, side=16)
    found = shift(subject)
    pairs = []
    for place, image in enumerate(images):
        random = torch.Generator().manual_seed(SEED + place)
        both = torch.randint(5, (2, 2), generator=random).tolist()
        pairs.append([moved(image, 2 - top, 2 - left, circular=False) for top, left in both])
    one, other = (seen(model, torch.stack(each)).argmax(1) for each in zip(*pairs, strict=True))
    assert found.yes["pair_consistency"].tolist() == [(one == other).tolist()]
    assert found.values["pair_consistency"] == pytest.approx((one == other).double().mean().item())
    assert 0 < found.values["pair_consistency"] < 1


def test_a_model_that_averages_over_a_torus_does_not_notice():
    torch.manual_seed(0)
    from gapfc.heads import GAP

    images = pixels(side=8)
    data = pictures(images, torch.arange(N) % 3, torch.zeros(N, 4))
    model = bare(GAP((3, 8, 8), 3))
    found = shift(composed("dataset.image_size=native", dataset=data, model=model))
    assert [found.values["circular"][n]["consistency"] for n in ("1", "2")] == [1, 1]
    assert [found.values["circular"][n]["drop"] for n in ("1", "2")] == [0, 0]
