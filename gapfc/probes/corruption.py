"""Does a model still see the same in noisy, blurred, pale, bright and coarse images?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gapfc.probes.seeded import per_image
from gapfc.probes.subject import Finding, Subject, right

SEVERITIES = (1, 3, 5)
# Of the severities 1, 3 and 5. Those of ImageNet-C, where sizes don't matter; blur's are those of
# CIFAR-10-C, in pixels of an image with a shorter side of 32, and grow with it.
NOISE = (0.08, 0.18, 0.38)  # standard deviation of a pixel in [0, 1]
BLUR = (0.4, 0.7, 1.0)  # standard deviation of the Gaussian
CONTRAST = (0.4, 0.2, 0.05)  # what is left of each pixel's difference from the channel's mean
BRIGHTNESS = (0.1, 0.3, 0.5)  # added to the value of HSV
PIXELATE = (0.6, 0.4, 0.25)  # share of the pixels that is left in each direction
BLUR_SIDE = 32


def corruption(subject: Subject) -> Finding:
    """accuracy, nll and ece of `<kind>.<severity>`: noise, blur, contrast, brightness, pixelate.

    In the manner of Hendrycks & Dietterich 2019 (arXiv:1903.12261, "common corruptions"), of which
    these are five kinds and three of five severities, written anew for images of any size: numbers
    are not to be compared with those on CIFAR-10-C or ImageNet-C. Pixels are rounded to whole
    numbers again. An image meets the same noise in every run, and weaker at a lower severity.
    """
    values: dict[str, Any] = {}
    yes: dict[str, NDArray[np.bool_]] = {}
    for kind, (corrupt, constants) in CORRUPTIONS.items():
        values[kind] = {}
        for severity, constant in zip(SEVERITIES, constants, strict=True):
            found = subject.measure(
                f"corruption.{kind}.{severity}",
                partial(_corrupted, corrupt=corrupt, constant=constant),
            )
            values[kind][str(severity)] = {key: found[key] for key in ("accuracy", "nll", "ece")}
            yes[f"{kind}.{severity}.accuracy"] = right(found)[None]
    return Finding(values, yes)


def noise(images: Tensor, places: Tensor, deviation: float) -> Tensor:
    """Gaussian, of each pixel alone. This and the others: float32 [B, c, h, w] in [0, 1]."""
    shape = images.shape[1:]
    drawn = per_image(places, lambda random: torch.randn(shape, generator=random))
    return images + deviation * drawn


def blur(images: Tensor, places: Tensor, deviation: float) -> Tensor:
    """Gaussian, cut at 4 standard deviations, the border repeated."""
    sigma = deviation * min(images.shape[2:]) / BLUR_SIDE
    reach = min(math.ceil(4 * sigma), min(images.shape[2:]))
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).repeat(images.shape[1], 1, 1, 1)
    framed = functional.pad(images, (reach,) * 4, mode="replicate")
    across = functional.conv2d(framed, kernel, groups=images.shape[1])
    return functional.conv2d(across, kernel.transpose(2, 3), groups=images.shape[1])


def contrast(images: Tensor, places: Tensor, left: float) -> Tensor:
    """Each channel drawn to its mean over the image."""
    mean = images.mean((2, 3), keepdim=True)
    return mean + left * (images - mean)


def brightness(images: Tensor, places: Tensor, more: float) -> Tensor:
    """The largest channel raised, the others in proportion: hue and saturation stay."""
    value = images.amax(1, keepdim=True)
    raised = (value + more).clamp(max=1)
    return torch.where(value > 0, images * raised / value.clamp(min=1e-6), raised)


def pixelate(images: Tensor, places: Tensor, share: float) -> Tensor:
    """Averaged over larger pixels."""
    height, width = images.shape[2:]
    coarse = (max(1, round(height * share)), max(1, round(width * share)))
    smaller = functional.interpolate(images, size=coarse, mode="area")
    return functional.interpolate(smaller, size=(height, width), mode="nearest")


CORRUPTIONS: dict[str, tuple[Callable[[Tensor, Tensor, float], Tensor], tuple[float, ...]]] = {
    "noise": (noise, NOISE),
    "blur": (blur, BLUR),
    "contrast": (contrast, CONTRAST),
    "brightness": (brightness, BRIGHTNESS),
    "pixelate": (pixelate, PIXELATE),
}


def _corrupted(
    images: Tensor,
    places: Tensor,
    corrupt: Callable[[Tensor, Tensor, float], Tensor],
    constant: float,
) -> Tensor:
    """uint8 to uint8."""
    changed = corrupt(images.float() / 255, places, constant)
    return (changed * 255).round_().clamp_(0, 255).byte()
