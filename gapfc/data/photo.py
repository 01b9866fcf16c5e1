"""One image file, of any format, mode and size, to RGB pixels."""

from __future__ import annotations

import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gapfc.data.framing import SQUASH, Framing
from gapfc.data.sizes import Size

# Of all that Pillow reads, nothing that starts a program: for EPS it calls Ghostscript.
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
# Width x height at which Pillow itself gives up: no photo that it reads by default is refused.
MAX_PIXELS = 178_956_970
# What Pillow raises for a file that is not an image, or is truncated or damaged.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError)
ORIENTATION = 0x0112  # the EXIF tag; what makes each of its values upright:
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SWAPPING_ORIENTATIONS = (5, 6, 7, 8)
# The last bytes of a whole file; cameras may write more of their own behind them. MPO are JPEGs of
# several pictures; WebP is read to its end as it is opened.
ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b";", "WEBP": b""}

# Pillow warns from half its limit on; the limit here is the user's own.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
# Odd metadata, in photos that are read all the same.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def header_size(path: str, max_pixels: int = MAX_PIXELS) -> Size:
    """Height and width as the photo is shown. Raises one of UNREADABLE, also if it is cut short.

    It is decoded only if its last bytes are not those that its format ends with, or there are none.
    """
    with _open(path, max_pixels) as image:
        size = shown_size(image)
        end = ENDS.get(image.format or "")
        if end is None or not _ends_as(path, end):
            image.draft("RGB", (1, 1))  # a JPEG at an eighth: all its bytes are read, soon
            image.load()
        return size


def _ends_as(path: str, end: bytes) -> bool:
    with open(path, "rb") as file:
        file.seek(max(os.path.getsize(path) - len(end), 0))
        return file.read() == end


def shown_size(image: Image.Image) -> Size:
    """The same of an image that was opened."""
    width, height = image.size
    # Asking a PNG without early EXIF for it would decode the whole picture.
    quick = image.format != "PNG" or "exif" in image.info
    swap = quick and image.getexif().get(ORIENTATION) in SWAPPING_ORIENTATIONS
    return (width, height) if swap else (height, width)


def decode(
    path: str,
    size: Size | None = None,
    framing: Framing = SQUASH,
    max_pixels: int = MAX_PIXELS,
) -> Tensor:
    """The photo as uint8 RGB [3, h, w], upright as its EXIF orientation says.

    size: None for its own, else (h, w), to which `framing` brings it. Transparency is laid on
    white. Raises one of UNREADABLE, also for a photo whose header says more than max_pixels, before
    memory is taken for it.
    """
    with _open(path, max_pixels) as image:
        return pixels(image, size, framing)


def pixels(image: Image.Image, size: Size | None = None, framing: Framing = SQUASH) -> Tensor:
    """An image of Pillow's as `decode` gives that of a file; it may be decoded by this."""
    if size is not None:
        # A large JPEG is decoded at 1/2, 1/4 or 1/8: still twice the pixels that are kept.
        image.draft("RGB", framing.enough(size))
    upright = _rgb(_turned(image))
    if size is not None:
        upright = framing(upright, size)
    return torch.from_numpy(np.array(upright)).permute(2, 0, 1).contiguous()


def _open(path: str, max_pixels: int) -> Image.Image:
    """The first frame of a file, not decoded yet."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a FIFO would wait for its writer
        raise OSError("not a regular file")
    try:
        with LIMIT.of(max_pixels):
            return Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        raise OSError(
            f"{pixels[0] if pixels else 'too many'} pixels, more than "
            f"dataset.max_pixels={max_pixels}"
        ) from error


class _Limit:
    """Pillow's limit of pixels, which the whole process has, while some threads open photos.

    It looks at every size that it meets in a file. Before and after, it is the user's own.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._within = 0  # threads
        self._most: int | None = None  # pixels, for all of them
        self._before: int | None = None

    @contextmanager
    def of(self, most: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._within or self._most == most)
            if not self._within:
                self._before, self._most = Image.MAX_IMAGE_PIXELS, most
                Image.MAX_IMAGE_PIXELS = (most + 1) // 2  # it refuses above twice this
            self._within += 1
        try:
            yield
        finally:
            with self._changed:
                self._within -= 1
                if not self._within:
                    Image.MAX_IMAGE_PIXELS = self._before
                    self._changed.notify_all()


LIMIT = _Limit()


def _turned(image: Image.Image) -> Image.Image:
    # ImageOps.exif_transpose also writes the EXIF data anew, and fails if they are damaged.
    image.load()
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _eight_bits(image)
    elif image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, 32 bits or floats: 0..65535, or 0..1 for floats, becomes 0..255."""
    values = np.array(image, dtype=np.float64)
    np.nan_to_num(values, copy=False)
    if image.mode == "F":
        values *= 255 if values.max(initial=0) <= 1 else 1
    elif image.mode != "I" or values.max(initial=0) > 255:
        values /= 257
    np.clip(np.rint(values, out=values), 0, 255, out=values)
    return Image.fromarray(values.astype(np.uint8))
