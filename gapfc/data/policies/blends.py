"""Operations that blend an image with a duller version of itself."""

from __future__ import annotations

from torch import Tensor

from gapfc.data.pixels import luma


def colour(images: Tensor, factor: Tensor) -> Tensor:
    """Away from grey by `factor` [B]: 0 is grey, 1 as it is; grey images stay.

    images: uint8 [B, c, h, w] -> the same. As torchvision's adjust_saturation.
    """
    if images.shape[1] == 1:
        return images
    return _blend(images, luma(images)[:, None], factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Away from a blur by `factor` [B]: 0 is blurred, 1 as it is; the outermost pixels stay.

    images: uint8 [B, c, h, w] -> the same. As torchvision's adjust_sharpness: a mean of 3×3 pixels
    in which the middle one counts 5 times.
    """
    if min(images.shape[2:]) <= 2:
        return images
    inner = images[:, :, 1:-1, 1:-1]
    values = images.short()
    rows = values[:, :, :-2] + values[:, :, 1:-1] + values[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * values[:, :, 1:-1, 1:-1]
    blurred = (total.float() / 13).round_()  # of whole numbers: 13 never leaves a half
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _blend(inner, blurred, factor)
    return result


def _blend(images: Tensor, dull: Tensor, factor: Tensor) -> Tensor:
    share = factor[:, None, None, None]
    # Two products and a sum, each rounded by itself: the same bits on every device.
    return images.float().mul_(share).add_(dull * (1 - share)).clamp_(0, 255).byte()
