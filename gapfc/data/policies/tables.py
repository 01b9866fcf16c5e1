"""Operations that change a pixel by its own value: a table of 256 values for each channel."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gapfc.data.pixels import mean_luma
from gapfc.data.policies.space import OPERATIONS, Space

BY_TABLE = ("brightness", "contrast", "posterize", "solarize", "autocontrast", "equalize")


def tables(images: Tensor, choice: Tensor, strength: Tensor, space: Space) -> Tensor:
    """What each value becomes.

    Args:
        images: uint8 [B, c, h, w], which contrast, autocontrast and equalize look at.
        choice: places in OPERATIONS, of BY_TABLE, int64 [B], on the CPU.
        strength: from -1 to 1, float64 [B], on the CPU; the sign is that of the
            change of brightness and contrast.
        space: what a strength of 1 is.

    Returns:
        uint8 [B, c, 256], on the device of the images.
    """
    device, channels = images.device, images.shape[1]
    found = torch.empty(len(images), channels, 256, dtype=torch.uint8, device=device)
    for name in BY_TABLE:
        chosen = (choice == OPERATIONS.index(name)).nonzero()[:, 0]
        if not len(chosen):
            continue
        amount = strength[chosen]
        factor = (1 + amount * space.factor).float().to(device)
        level = amount.abs()
        chosen = chosen.to(device)
        if name == "brightness":
            table = brightness(factor)
        elif name == "contrast":
            table = contrast(images.index_select(0, chosen), factor)
        elif name == "posterize":
            table = posterize((level * space.bits).round().long().to(device))
        elif name == "solarize":
            table = solarize((255 - 255 * level).to(device))
        elif name == "autocontrast":
            table = autocontrast(images.index_select(0, chosen))
        else:
            table = equalize(images.index_select(0, chosen))
        found[chosen] = table.expand(-1, channels, 256)
    return found


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Each pixel's entry: uint8 [B, c, h, w] and uint8 [B, c, 256] -> uint8 [B, c, h, w]."""
    if images.device.type != "cpu":
        return tables.gather(2, images.flatten(2).long()).view(images.shape)
    # Python's own table look-up of bytes: 8 times as fast as torch for photos, which needs int64.
    flat, entries = images.flatten(2).flatten(0, 1).numpy(), tables.flatten(0, 1).numpy()
    result = np.empty_like(flat)
    for pixels, table, out in zip(flat, entries, result, strict=True):
        out[:] = np.frombuffer(pixels.tobytes().translate(table.tobytes()), dtype=np.uint8)
    return torch.from_numpy(result).view(images.shape)


def brightness(factor: Tensor) -> Tensor:
    """Times `factor` [B]: [B, 1, 256]."""
    return (_ramp(factor) * factor[:, None, None]).clamp_(0, 255).byte()


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """The distance from the mean luma of the image times `factor` [B]: [B, 1, 256]."""
    offset = (mean_luma(images) * (1 - factor))[:, None, None]
    return (_ramp(factor) * factor[:, None, None] + offset).clamp_(0, 255).byte()


def posterize(dropped: Tensor) -> Tensor:
    """The lowest `dropped` bits (int64 [B]) set to 0: [B, 1, 256]."""
    return ((_ramp(dropped) >> dropped[:, None, None]) << dropped[:, None, None]).byte()


def solarize(threshold: Tensor) -> Tensor:
    """Values from `threshold` [B] on inverted: [B, 1, 256]."""
    ramp = _ramp(threshold)
    return torch.where(ramp >= threshold[:, None, None], 255 - ramp, ramp).byte()


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched from 0 to 255; one of a single value stays: [B, c, 256]."""
    low, high = (f(dim=(2, 3))[..., None].int() for f in (images.amin, images.amax))
    ramp = _ramp(images)
    stretched = ((ramp - low) * 255 // (high - low).clamp(min=1)).clamp_(0, 255)
    return torch.where(high > low, stretched, ramp).byte()


def equalize(images: Tensor) -> Tensor:
    """Each channel with its values spread evenly, as Pillow's ImageOps.equalize: [B, c, 256]."""
    counts = _histograms(images)
    brightest = images.amax(dim=(2, 3)).cpu().long()[..., None]
    step = (counts.sum(2, keepdim=True) - counts.gather(2, brightest)) // 255
    below = counts.cumsum(2) - counts
    spread = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    spread[..., 0] = 0
    return torch.where(step > 0, spread, _ramp(spread)).byte().to(images.device)


def _histograms(images: Tensor) -> Tensor:
    """How often each value occurs: int64 [B, c, 256], on the CPU."""
    count, channels = images.shape[:2]
    flat = images.flatten(2).flatten(0, 1)
    if images.device.type == "cpu":
        each = [np.bincount(pixels, minlength=256) for pixels in flat.numpy()]
        return torch.from_numpy(np.stack(each)).view(count, channels, 256)
    first = torch.arange(len(flat), device=images.device)[:, None] * 256
    every = torch.bincount((flat + first).flatten(), minlength=256 * len(flat))
    return every.view(count, channels, 256).cpu()


def _ramp(like: Tensor) -> Tensor:
    return torch.arange(256, device=like.device)[None, None, :]
