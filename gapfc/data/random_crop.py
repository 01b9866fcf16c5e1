"""Random resized crops of whole batches, each image with its own box."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ATTEMPTS = 10  # as torchvision's RandomResizedCrop
RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class RandomResizedCrop:
    """A crop of `smallest`..1 of the area and 3:4 to 4:3 of the sides, resized to the whole.

    Szegedy et al. 2015 (GoogLeNet), section 6, with torchvision's RandomResizedCrop.get_params:
    the first of ten boxes that fits, else the largest centred one within the ratios. Bilinear; a
    crop is never larger than the image, so nothing needs antialiasing.
    """

    smallest: float
    numbers: int = 4 * ATTEMPTS

    def boxes(self, random: Tensor, height: int, width: int) -> Tensor:
        """random: [B, numbers] -> int64 [B, 4]: top, left, height and width of each crop."""
        # On the CPU in float64: exp and sqrt may differ between devices in the last bit.
        draws = random.cpu().double().view(-1, ATTEMPTS, 4)
        area = height * width * (self.smallest + draws[..., 0] * (1 - self.smallest))
        low, high = math.log(RATIO[0]), math.log(RATIO[1])
        ratio = torch.exp(low + draws[..., 1] * (high - low))
        wide = torch.round(torch.sqrt(area * ratio)).long()
        high_ = torch.round(torch.sqrt(area / ratio)).long()
        fits = (wide > 0) & (wide <= width) & (high_ > 0) & (high_ <= height)
        top = (draws[..., 2] * (height - high_ + 1)).long()
        left = (draws[..., 3] * (width - wide + 1)).long()
        candidates = torch.stack([top, left, high_, wide], dim=-1)
        first = fits.int().argmax(dim=1)
        chosen = candidates[torch.arange(len(draws)), first]
        return torch.where(fits.any(dim=1)[:, None], chosen, _central(height, width))

    def __call__(self, images: Tensor, random: Tensor) -> Tensor:
        """images: uint8 [B, c, h, w]; random: float32 [B, numbers] -> uint8 [B, c, h, w]."""
        height, width = images.shape[2:]
        top, left, tall, wide = self.boxes(random, height, width).unbind(dim=1)
        rows = _interpolate(images.float(), 2, top, tall)
        return _interpolate(rows, 3, left, wide).round_().clamp_(0, 255).byte()


def _central(height: int, width: int) -> Tensor:
    tall, wide = height, width
    if width / height < RATIO[0]:
        tall = min(round(width / RATIO[0]), height)
    elif width / height > RATIO[1]:
        wide = min(round(height * RATIO[1]), width)
    return torch.tensor([(height - tall) // 2, (width - wide) // 2, tall, wide])


def _interpolate(images: Tensor, axis: int, first: Tensor, length: Tensor) -> Tensor:
    """Stretch the `length` [B] pixels from `first` [B] over the whole axis (2 or 3), bilinearly."""
    total = images.shape[axis]
    centre = (torch.arange(total, dtype=torch.float64) + 0.5) * (length[:, None] / total) - 0.5
    centre = centre.clamp(min=0)
    low = centre.floor().long()
    weight = (centre - low).float()
    high = torch.minimum(low + 1, length[:, None] - 1)
    shape = [len(images), 1, 1, 1]
    shape[axis] = total
    expanded = list(images.shape)

    def gather(index: Tensor) -> Tensor:
        index = (index + first[:, None]).to(images.device).view(shape)
        return images.gather(axis, index.expand(expanded))

    share = weight.to(images.device).view(shape)
    # Two products and a sum, each rounded by itself: the same bits on every device.
    return gather(low) * (1 - share) + gather(high) * share
