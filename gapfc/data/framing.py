"""How a photo of any shape comes to the size of the network: squashed, cropped or padded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from gapfc.data.sizes import Size

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Framing:
    """What of a photo is seen, and where it stands in the network's input.

    Attributes:
        how: squash (all of it, stretched), crop (the shorter side fits, then the centre) or pad
            (all of it in its own proportions, in the middle; also called letterbox).
        crop_share: of crop: the part of the shorter side that is kept, at most 1. Below 1 the
            resized photo and its margins are whole pixels, as torchvision has them: 0.875 is its
            Resize(256) and CenterCrop(224).
        mean: of the data set, per channel in [0, 1]. What pad leaves free has this colour: after
            normalisation it is 0, as the padding of convolutions is, and as far from white as from
            black photos. Black would be the strongest input there is.
    """

    how: str = "squash"
    crop_share: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)

    def seen(self, own: Size, size: Size) -> Box:
        """The part of a photo of size `own` that is shown at `size`, in pixels of the photo."""
        (height, width), (rows, columns) = own, size
        if self.how != "crop":
            return (0.0, 0.0, float(width), float(height))
        if self.crop_share == 1:
            scale = max(rows / height, columns / width)
            left = max((width - columns / scale) / 2, 0.0)
            top = max((height - rows / scale) / 2, 0.0)
            return (left, top, width - left, height - top)
        if rows * width >= columns * height:
            tall = round(rows / self.crop_share)
            wide = tall * width // height
        else:
            wide = round(columns / self.crop_share)
            tall = wide * height // width
        left, top = round((wide - columns) / 2), round((tall - rows) / 2)
        across, down = width / wide, height / tall
        return (
            left * across,
            top * down,
            min((left + columns) * across, float(width)),
            min((top + rows) * down, float(height)),
        )

    def place(self, own: Size, size: Size) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a photo of size `own` in its picture of `size`."""
        (height, width), (rows, columns) = own, size
        if self.how != "pad":
            return (0, 0, columns, rows)
        scale = min(rows / height, columns / width)
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
        left, top = (columns - inner[1]) // 2, (rows - inner[0]) // 2
        return (left, top, left + inner[1], top + inner[0])

    @property
    def colour(self) -> tuple[int, int, int]:
        """Of what is not covered by the photo: red, green, blue in 0..255."""
        red, green, blue = (min(max(round(255 * value), 0), 255) for value in self.mean)
        return (red, green, blue)

    def enough(self, size: Size) -> Size:
        """Width and height from which a photo may be reduced to what `size` shows of it."""
        side = math.ceil(2 * max(size) / self.crop_share)
        return (side, side)

    def keeps(self, own: Size, size: Size) -> bool:
        """Whether a photo of size `own` is shown at `size` pixel by pixel."""
        return own == size and (self.how != "crop" or self.crop_share == 1)

    def __call__(self, image: Image.Image, size: Size) -> Image.Image:
        """An RGB image as it is shown at `size` (h, w): antialiased, bilinear."""
        own = (image.height, image.width)
        left, top, right, bottom = self.place(own, size)
        shown = image.resize(
            (right - left, bottom - top), Image.Resampling.BILINEAR, box=self.seen(own, size)
        )
        if (bottom - top, right - left) == size:
            return shown
        sheet = Image.new("RGB", size[::-1], self.colour)
        sheet.paste(shown, (left, top))
        return sheet


SQUASH = Framing()
