"""Pictures for TensorBoard, as uint8 tensors [3, h, w]."""

import io
import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png(image: Tensor) -> bytes:
    """A picture as the bytes of a PNG file. image: uint8 [3, h, w]."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.cpu().permute(1, 2, 0).contiguous().numpy()).save(file, "png")
    return file.getvalue()


def new_figure(width: float, height: float) -> "Figure":
    """A figure of `width` × `height` hundred pixels.

    Without pyplot: no window system is needed, and no figure stays registered.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def drawn(figure: "Figure") -> Tensor:
    """What a figure of `new_figure` shows: uint8 [3, h, w]."""
    canvas: Any = figure.canvas
    with warnings.catch_warnings():
        # A class name in a script that the font lacks is drawn as boxes, which can be seen.
        warnings.filterwarnings("ignore", message="Glyph")
        canvas.draw()
    pixels = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8)
    width, height = canvas.get_width_height()
    return pixels.reshape(height, width, 4)[..., :3].permute(2, 0, 1).contiguous()


def grid(images: Tensor, gap: int = 2, smallest: int = 64) -> Tensor:
    """Images side by side on white, in reading order, about square.

    images: [n, 1 or 3, h, w], uint8 or floating in [0, 1]. Small ones are enlarged by a whole
    factor, without smoothing, until a side has `smallest` pixels: 28 are too few to look at.
    """
    images = _as_uint8(images).cpu()
    factor = math.ceil(smallest / max(images.shape[2:]))
    images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    n, _, h, w = images.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = images.new_full((3, rows * (h + gap) - gap, columns * (w + gap) - gap), 255)
    for index, image in enumerate(images):
        top, left = index // columns * (h + gap), index % columns * (w + gap)
        sheet[:, top : top + h, left : left + w] = image
    return sheet


def _as_uint8(images: Tensor) -> Tensor:
    images = images.detach()
    if images.is_floating_point():
        images = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return images.expand(-1, 3, -1, -1)
