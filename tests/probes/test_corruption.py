"""Corruptions against NumPy, SciPy and Pillow."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from subjects import bare, composed, pictures
from torch.nn import functional

from gapfc.heads import FC
from gapfc.probes.corruption import (
    CORRUPTIONS,
    SEVERITIES,
    blur,
    brightness,
    contrast,
    corruption,
    noise,
    pixelate,
)
from gapfc.probes.seeded import SEED

PLACES = torch.tensor([4, 0, 9])


@pytest.fixture
def images():
    return torch.rand(3, 3, 16, 20, generator=torch.Generator().manual_seed(5))


def test_noise_belongs_to_the_image(images):
    drawn = noise(images, PLACES, 0.5) - images
    for each, place in zip(drawn, PLACES.tolist(), strict=True):
        random = torch.Generator().manual_seed(SEED + place)
        assert torch.allclose(each, 0.5 * torch.randn(3, 16, 20, generator=random), atol=1e-6)
    # Alone, in another order, weaker: the same noise.
    alone = noise(images[1:2], PLACES[1:2], 0.1) - images[1:2]
    assert torch.allclose(alone / 0.1, drawn[1:2] / 0.5, atol=1e-4)


def test_blur_is_scipys(images):
    expected = gaussian_filter(images.numpy(), (0, 0, 1.0, 1.0), mode="nearest", truncate=4)
    # 2 pixels at a side of 32 are 1 pixel at one of 16.
    assert np.allclose(blur(images, PLACES, 2.0).numpy(), expected, atol=1e-4)


def test_contrast_keeps_the_mean(images):
    found = contrast(images, PLACES, 0.2)
    assert torch.allclose(found.mean((2, 3)), images.mean((2, 3)), atol=1e-6)
    assert torch.allclose(found.std((2, 3)), 0.2 * images.std((2, 3)), atol=1e-6)


def test_brightness_is_the_value_of_hsv(images):
    images[0, :, 0, 0] = 0  # black becomes grey
    found = brightness(images, PLACES, 0.3)
    for y, x in ((0, 0), (3, 7), (15, 19)):
        hue, saturation, value = colorsys.rgb_to_hsv(*images[0, :, y, x].tolist())
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.3))
        assert found[0, :, y, x].tolist() == pytest.approx(expected, abs=1e-5)


def test_pixelate_averages_as_pillow_does(images):
    found = pixelate(images, PLACES, 0.25)
    pillow = Image.fromarray(images[0, 0].numpy()).resize((5, 4), Image.Resampling.BOX)
    expected = np.asarray(pillow).repeat(4, 0).repeat(4, 1)
    assert np.allclose(found[0, 0].numpy(), expected, atol=1e-5)


def test_what_is_measured():
    random = torch.Generator().manual_seed(6)
    images = torch.randint(256, (40, 3, 8, 8), generator=random, dtype=torch.uint8)
    labels = torch.arange(40) % 3
    torch.manual_seed(0)
    model = bare(FC((3, 8, 8), 3, hidden=[]))
    data = pictures(images, labels, torch.zeros(40, 4))
    settings = ("dataset.image_size=native", "trainer.eval_batch_size=16")
    found = corruption(composed(*settings, dataset=data, model=model))
    assert {kind: list(each) for kind, each in found.values.items()} == {
        kind: ["1", "3", "5"] for kind in CORRUPTIONS
    }
    for kind, (change, constants) in CORRUPTIONS.items():
        for severity, constant in zip(SEVERITIES, constants, strict=True):
            there = change(images.float() / 255, torch.arange(40), constant)
            there = (there * 255).round().clamp(0, 255) / 255
            with torch.no_grad():
                logits = model(there)
            values = found.values[kind][str(severity)]
            right = logits.argmax(1) == labels
            assert values["accuracy"] == pytest.approx(right.double().mean().item())
            assert values["nll"] == pytest.approx(
                functional.cross_entropy(logits, labels).item(), abs=1e-5
            )
            assert found.yes[f"{kind}.{severity}.accuracy"].tolist() == [right.tolist()]
