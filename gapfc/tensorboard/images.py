"""Pictures for TensorBoard, as uint8 tensors [3, h, w]."""

import io
import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png(image: Tensor) -> bytes:
    """A picture as the bytes of a PNG file. image: uint8 [3, h, w]."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.cpu().permute(1, 2, 0).contiguous().numpy()).save(file, "png")
    return file.getvalue()


def new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> "Figure":
    """A figure of `width` × `height` hundred pixels. layout: None leaves all where it is put.

    Without pyplot: no window system is needed, and no figure stays registered.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout=layout)
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


def grid(images: Tensor, gap: int = 2, smallest: int = 64, largest: int = 128) -> Tensor:
    """Images side by side on white, in reading order, about square.

    images: [n, 1 or 3, h, w], uint8 or floating in [0, 1]. Small ones are enlarged by a whole
    factor, without smoothing, until a side has `smallest` pixels: 28 are too few to look at. Those
    with a side of more than `largest` are shrunk by a whole factor: they fill disks.
    """
    side = max(images.shape[2:])
    images = _as_uint8(_shrunk(images, math.ceil(side / largest))).cpu()
    factor = math.ceil(smallest / side)
    images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    n, _, h, w = images.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = images.new_full((3, rows * (h + gap) - gap, columns * (w + gap) - gap), 255)
    for index, image in enumerate(images):
        top, left = index // columns * (h + gap), index % columns * (w + gap)
        sheet[:, top : top + h, left : left + w] = image
    return sheet


def _shrunk(images: Tensor, factor: int) -> Tensor:
    """Each pixel the mean of `factor` × `factor`."""
    if factor == 1:
        return images
    scale = 1.0 if images.is_floating_point() else 1 / 255
    return functional.avg_pool2d(images.detach().float() * scale, factor, ceil_mode=True)


def _as_uint8(images: Tensor) -> Tensor:
    images = images.detach()
    if images.is_floating_point():
        images = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return images.expand(-1, 3, -1, -1)
