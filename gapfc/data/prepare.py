"""Any image as a trained network's evaluation shows it: uint8 [3, h, w], not normalised yet."""

from __future__ import annotations

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor

from gapfc.data.arrays import resize
from gapfc.data.canvas import set_into
from gapfc.data.files import native_size
from gapfc.data.framing import Framing
from gapfc.data.photo import FORMATS, MAX_PIXELS, decode, header_size, pixels, shown_size
from gapfc.data.sizes import Size
from gapfc.records.inputs import Inputs


def prepare_image(image: Image.Image, inputs: Inputs) -> Tensor:
    """An image of Pillow's, of any mode and size, turned as its EXIF orientation says."""
    size = _size(inputs, None if inputs.image_size else shown_size(image))
    if inputs.resampler == "torch":
        return _on_canvas(resize(pixels(image)[None], size)[0], inputs)
    return _on_canvas(pixels(_undecoded(image), size, framing_of(inputs)), inputs)


def prepare_tensor(images: Tensor, inputs: Inputs) -> Tensor:
    """uint8 [B, 1 or 3, h, w] -> uint8 [B, 3, h, w] at the network's size, grey repeated."""
    height, width = images.shape[2:]
    size = _size(inputs, (height, width))
    framing = framing_of(inputs)
    if inputs.resampler == "torch":
        images = images if (height, width) == size else resize(images.cpu(), size)
    elif not framing.keeps((height, width), size):
        images = _resized_by_pillow(images.cpu(), size, framing)
    return _on_canvas(images, inputs).expand(-1, 3, -1, -1)


def prepare_file(path: str, inputs: Inputs) -> Tensor:
    """An image file. Raises one of `photo.UNREADABLE`, as for a size that is too large."""
    size = _size(inputs, None if inputs.image_size else header_size(path))
    if inputs.resampler == "torch":
        return _on_canvas(resize(decode(path)[None], size)[0], inputs)
    return _on_canvas(decode(path, size, framing_of(inputs)), inputs)


def _size(inputs: Inputs, own: Size | None) -> Size:
    """What an image of size `own` is resized to; own: needed where images keep theirs."""
    if inputs.image_size is not None:
        return inputs.image_size
    assert own is not None
    height, width = native_size(own, inputs.max_size, inputs.size_multiple)
    if height * width > MAX_PIXELS:  # a record may say that sides are multiples of 2³¹
        raise ValueError(f"it would be resized to {height}×{width} pixels, which is too large")
    return height, width


def framing_of(inputs: Inputs) -> Framing:
    """What a network sees of a photo, where Pillow resizes it."""
    return Framing(inputs.resize, inputs.crop_share, inputs.mean)


def _on_canvas(images: Tensor, inputs: Inputs) -> Tensor:
    return images if inputs.canvas is None else set_into(images, inputs.canvas)


def _resized_by_pillow(images: Tensor, size: Size, framing: Framing) -> Tensor:
    result = images.new_empty(len(images), 3, *size)
    for row, image in enumerate(images.expand(-1, 3, -1, -1)):
        array = image.permute(1, 2, 0).contiguous().numpy()
        result[row] = pixels(Image.fromarray(array), size, framing)
    return result


def _undecoded(image: Image.Image) -> Image.Image:
    """A JPEG that was opened and not decoded yet, opened again: `pixels` decodes less of it.

    That would change the size of the user's own object.
    """
    if isinstance(image, JpegImageFile) and image.tile and image.fp is not None:
        image.fp.seek(0)
        return Image.open(image.fp, formats=FORMATS)
    return image
