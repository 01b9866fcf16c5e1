"""A photo with what spoke for its class: the class activation map over it, at its own size."""

from __future__ import annotations

import io
import math
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gapfc.data.canvas import margins
from gapfc.data.prepare import framing_of
from gapfc.data.sizes import Size
from gapfc.formatting import printable
from gapfc.records.inputs import Inputs
from gapfc.tensorboard.activation_maps import BLANK, COLOURS, STRENGTH

SMALLEST = 256  # pixels of the longer side: smaller images are enlarged by a whole factor
NARROWEST = 240  # pixels: narrower pictures have no room for words
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

Pixels = NDArray[np.uint8]


def overlay_png(
    photo: Tensor, activation: Tensor, inputs: Inputs, name: str, probability: float
) -> bytes:
    """The photo in grey under its map, and class and probability below it, as a PNG file.

    What the network did not see, because it was cut off, stays grey without colour.

    Args:
        photo: uint8 [3, h, w].
        activation: [H, W] in [0, 1]; all zero where nothing speaks for the class.
        inputs: of the network: which part of the photo the map covers.
        name: of the class.
        probability: of it.
    """
    image = Image.fromarray(photo.permute(1, 2, 0).contiguous().numpy())
    factor = max(1, math.ceil(SMALLEST / max(image.size)))
    size = (image.width * factor, image.height * factor)
    grey = image.convert("L").resize(size, Image.Resampling.NEAREST).convert("RGB")
    blank = not bool(activation.any())
    if not blank:
        left, top, right, bottom = _seen(size[::-1], inputs)
        levels = _over_photo(activation, inputs, size[::-1]).resize(
            (right - left, bottom - top), Image.Resampling.BILINEAR
        )
        seen = grey.crop((left, top, right, bottom))
        grey.paste(Image.blend(seen, _coloured(levels), STRENGTH), (left, top))
    sheet = _with_caption(grey, name, probability, blank)
    file = io.BytesIO()
    sheet.save(file, "png")
    return file.getvalue()


def _over_photo(activation: Tensor, inputs: Inputs, own: Size) -> Image.Image:
    """The map of a photo of size `own` alone, of mode L, without what stands around it."""
    values = (activation * 255).round().byte().numpy()
    levels = Image.fromarray(values)
    if inputs.image_size is None:
        return levels
    left, top, right, bottom = framing_of(inputs).place(own, inputs.image_size)
    sheet = inputs.canvas or inputs.image_size
    if (left, top, right, bottom) == (0, 0, sheet[1], sheet[0]):
        return levels
    down, across = margins(inputs.image_size, sheet)
    levels = levels.resize(sheet[::-1], Image.Resampling.BILINEAR)
    return levels.crop((left + across, top + down, right + across, bottom + down))


def _seen(own: Size, inputs: Inputs) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what the network sees of a photo of size `own`."""
    if inputs.image_size is None:
        return 0, 0, own[1], own[0]
    left, top, right, bottom = map(round, framing_of(inputs).seen(own, inputs.image_size))
    left, top = min(left, own[1] - 1), min(top, own[0] - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _coloured(levels: Image.Image) -> Image.Image:
    steps = matplotlib.colormaps[COLOURS](np.arange(256))[:, :3]
    table: Pixels = (steps * 255).round().astype(np.uint8)
    return Image.fromarray(table[np.asarray(levels)])


def _with_caption(picture: Image.Image, name: str, probability: float, blank: bool) -> Image.Image:
    """The picture on white, with two lines below it: the class, and what the colours mean."""
    width = max(picture.width, NARROWEST)
    large = max(14, round(min(width, 2 * picture.height) / 28))
    font, small = (ImageFont.truetype(str(FONT), size) for size in (large, max(11, large * 3 // 4)))
    gap = large // 2
    sheet = Image.new("RGB", (width, picture.height + gap * 2 + large * 3), "white")
    sheet.paste(picture, (0, 0))
    draw = ImageDraw.Draw(sheet)
    y = picture.height + gap // 2
    percent = f" ({probability:.1%})"
    room = width - 2 * gap - font.getlength(percent)
    draw.text((gap, y), f"{_shortened(name, font, room)}{percent}", fill="black", font=font)
    y += round(large * 1.5)
    if blank:
        draw.text((gap, y), BLANK.replace("\n", " "), fill="#444444", font=small)
        return sheet
    words = "evidence: 0 ", " most"
    before, after = map(small.getlength, words)
    bar = max(1, round(min(width - 2 * gap - before - after, 8 * large)))
    ramp = Image.linear_gradient("L").rotate(90).resize((bar, large * 2 // 3))
    draw.text((gap, y), words[0], fill="#444444", font=small)
    sheet.paste(_coloured(ramp), (round(gap + before), y + large // 6))
    draw.text((gap + before + bar, y), words[1], fill="#444444", font=small)
    return sheet


def _shortened(name: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    shown = printable(name, 1000)
    if font.getlength(shown) <= room:
        return shown
    while shown and font.getlength(f"{shown}…") > room:
        shown = shown[:-1]
    return f"{shown}…"
