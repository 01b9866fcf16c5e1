"""Random changes to training images: whole uint8 batches, on whichever device holds them.

An operation draws uniform numbers in [0, 1) for every image of an epoch before any image is seen,
so the same (seed, epoch) gives the same images at any batch size, on any device, resumed or not.
Applying one takes only exact steps (integers, or one rounded float operation at a time).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from gapfc.data.pixels import integers, mean_luma
from gapfc.data.policies.policy import POLICIES, randaugment, trivialaugment
from gapfc.data.policies.space import STEPS
from gapfc.data.random_crop import RandomResizedCrop
from gapfc.errors import UserError
from gapfc.validators import flag, number, one_of, whole


class Operation(Protocol):
    """One random change."""

    @property
    def numbers(self) -> int:
        """How many uniform numbers each image needs."""
        ...

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """images: uint8 [B, c, h, w]; random: float32 [B, numbers] -> uint8 [B, c, h, w]."""
        ...


@dataclass(frozen=True)
class Shift:
    """Move by up to `pixels`, or up to a `fraction` of each side; gaps are filled with black.

    The same as padding by that much and cropping a random window of the image's size.
    """

    pixels: int = 0
    fraction: float = 0.0
    numbers: int = 2

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """See Operation."""
        count, _, height, width = images.shape
        reach = [max(self.pixels, int(self.fraction * side)) for side in (height, width)]
        down = integers(random[:, 0], 2 * reach[0] + 1)
        right = integers(random[:, 1], 2 * reach[1] + 1)
        padded = torch.nn.functional.pad(images, (reach[1], reach[1], reach[0], reach[0]))
        if images.device.type == "cpu":  # NumPy copies whole rows: 4 times as fast as torch here
            views = np.lib.stride_tricks.sliding_window_view(
                padded.numpy(), (height, width), axis=(2, 3)
            )
            return torch.from_numpy(views[np.arange(count), :, down.numpy(), right.numpy()])
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(count, device=images.device), :, down, right]


@dataclass(frozen=True)
class Flip:
    """Mirror left and right, one image in two."""

    numbers: int = 1

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """See Operation."""
        mirrored = random[:, 0] < 0.5
        if images.device.type == "cpu":
            result = images.clone()
            result.numpy()[mirrored.numpy()] = images.numpy()[mirrored.numpy(), ..., ::-1]
            return result
        return torch.where(mirrored[:, None, None, None], images.flip(3), images)


@dataclass(frozen=True)
class Light:
    """Brightness, then contrast, each by a factor in 1 ± its strength.

    As torchvision's adjust_brightness and adjust_contrast (whose grey is ITU-R 601-2 luma).
    """

    brightness: float = 0.0
    contrast: float = 0.0
    numbers: int = 2

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """See Operation."""
        factors = random * 2 - 1
        bright = (factors[:, 0] * self.brightness + 1)[:, None, None, None]
        contrast = (factors[:, 1] * self.contrast + 1)[:, None, None, None]
        result = (images * bright).clamp_(0, 255).byte()
        offset = mean_luma(result)[:, None, None, None] * (1 - contrast)
        return (result * contrast + offset).clamp_(0, 255).byte()


@dataclass(frozen=True)
class Cutout:
    """A square of `side` pixels filled with `fill`, its centre anywhere in the image.

    DeVries & Taylor 2017, arXiv:1708.04552, section 3: the square may reach over the edge.
    `fill`: 0..255 for each channel.
    """

    side: int
    fill: tuple[int, ...] = (0, 0, 0)
    numbers: int = 2

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """See Operation."""
        inside = []
        for axis, length in enumerate(images.shape[2:]):
            first = integers(random[:, axis], length) - self.side // 2
            offset = torch.arange(length, device=images.device) - first[:, None]
            inside.append((offset >= 0) & (offset < self.side))
        square = inside[0][:, :, None] & inside[1][:, None, :]
        result = images.clone()
        for channel in range(images.shape[1]):  # broadcasting the mask is 3 times as slow
            result[:, channel].masked_fill_(square, self.fill[channel])
        return result


class Augmentation:
    """The operations of an `augment` config node, in a fixed order.

    mean: 3 values in [0, 1], what cutout fills with. Raises UserError for values out of range.
    """

    def __init__(self, augment: Mapping[str, Any], mean: Sequence[float]) -> None:
        share = "a number from 0 (off) to below 1"

        def fraction(key: str) -> float:
            return number(f"augment.{key}", augment.get(key, 0.0), 0, below=1, takes=share)

        def pixels(key: str) -> int:
            return whole(
                f"augment.{key}", augment.get(key, 0), 0, takes="whole pixels, 0 (off) or more"
            )

        operations: list[Operation] = []
        scale = augment.get("resized_crop")
        if scale is not None:
            kept = "the smallest share of the image's area that a crop keeps, above 0 to 1, or null"
            smallest = number("augment.resized_crop", scale, above=0, most=1, takes=kept)
            operations.append(RandomResizedCrop(smallest))
        if translate := fraction("translate"):
            operations.append(Shift(fraction=translate))
        if padding := pixels("crop_padding"):
            operations.append(Shift(pixels=padding))
        if flag("augment.flip", augment.get("flip", False)):
            operations.append(Flip())
        policy = one_of("augment.policy", augment.get("policy", "none"), POLICIES)
        times = whole("augment.policy_operations", augment.get("policy_operations", 2), 1, 10)
        level = whole("augment.policy_magnitude", augment.get("policy_magnitude", 9), 0, STEPS)
        if policy != "randaugment" and (times, level) != (2, 9):
            raise UserError(
                "augment.policy_operations and augment.policy_magnitude are of "
                f"augment.policy=randaugment, and it is {policy}: leave them at 2 and 9."
            )
        if policy == "randaugment":
            operations.append(randaugment(times, level))
        elif policy == "trivialaugment":
            operations.append(trivialaugment())
        brightness, contrast = fraction("brightness"), fraction("contrast")
        if brightness or contrast:
            operations.append(Light(brightness, contrast))
        if side := pixels("cutout"):
            operations.append(Cutout(side, tuple(round(255 * value) for value in mean)))
        self.operations = tuple(operations)

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Random numbers for `count` images: float32 [count, all operations' numbers]."""
        numbers = sum(operation.numbers for operation in self.operations)
        return torch.rand(count, numbers, generator=generator)

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """images: uint8 [B, c, h, w]; random: rows of draw, float32 [B, numbers] -> uint8."""
        column = 0
        for operation in self.operations:
            images = operation(images, random[:, column : column + operation.numbers])
            column += operation.numbers
        return images
