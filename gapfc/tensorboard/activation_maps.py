"""Class activation maps as a picture: predictions, right and wrong, and what spoke for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gapfc.formatting import printable
from gapfc.tensorboard.images import drawn, new_figure

COLUMNS = 4
LONGEST = 11  # characters of a class name
# Perceptually uniform, and apart from the grey of an image all along.
COLOURS, STRENGTH = "viridis", 0.6
# In pixels.
WIDTH, GAP, TITLE, BAR = 640, 8, 38, 72
PANEL = (WIDTH - GAP * (COLUMNS + 1)) // COLUMNS
ROW = TITLE + 2 * (PANEL + GAP)
BLANK = "no evidence\nabove zero"


@dataclass(frozen=True)
class Example:
    """One image and what the model predicted.

    Attributes:
        image: floating [3, h, w] in [0, 1].
        activation: [H, W] in [0, 1] for the predicted class; all zero where nothing speaks for it.
        label, prediction: names of the true and of the predicted class.
        probability: of the prediction, in [0, 1].
    """

    image: Tensor
    activation: Tensor
    label: str
    prediction: str
    probability: float

    @property
    def title(self) -> str:
        """True class, prediction and its probability, in two lines."""
        predicted = f"{_short(self.prediction)} {self.probability:.0%}"
        return f"true  {_short(self.label)}\npred. {predicted}"


def activation_picture(examples: Sequence[Example]) -> Tensor:
    """Each image with its map below it, four in a row. Returns uint8 [3, h, w]."""
    from matplotlib.cm import ScalarMappable

    bottom = ROW * max(1, -(-len(examples) // COLUMNS))
    width, height = WIDTH, bottom + BAR
    sheet = torch.ones(3, height, width)
    # Placed by hand: axes for each image and a layout found for them take ten times as long.
    figure = new_figure(width / 100, height / 100, layout=None)

    def write(words: str, left: float, top: float, **how: Any) -> None:
        # A dollar sign in a class name does not start a formula.
        figure.text(
            left / width, 1 - top / height, words, fontsize=9, va="center", parse_math=False, **how
        )

    for number, example in enumerate(examples):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * (PANEL + GAP), row * ROW + TITLE
        colour = "black" if example.label == example.prediction else "#b2182b"
        write(example.title, left, top - TITLE / 2, color=colour)
        grey = example.image.mean(0, keepdim=True).expand(3, -1, -1)
        evident = bool(example.activation.any())
        below = _overlaid(grey, example.activation) if evident else grey
        for place, image in ((top, example.image), (top + PANEL + GAP, below)):
            fitted = _fitted(image)
            h, w = fitted.shape[1:]
            sheet[:, place : place + h, left : left + w] = fitted
        if not evident:
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85}
            write(BLANK, left + w / 2, top + PANEL + GAP + h / 2, ha="center", bbox=box)
    pixels = (sheet * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    figure.figimage(pixels, zorder=-1)
    if any(example.activation.any() for example in examples):
        axes = figure.add_axes((0.2, 1 - (bottom + 22) / height, 0.6, 12 / height))
        bar = figure.colorbar(ScalarMappable(cmap=COLOURS), axes, orientation="horizontal")
        bar.set_label("evidence for the predicted class, of each map's own maximum", fontsize=10)
    return drawn(figure)


def _fitted(image: Tensor) -> Tensor:
    """An image [3, h, w] so large that its longer side is PANEL pixels."""
    scale = PANEL / max(image.shape[1:])
    size = [max(1, round(side * scale)) for side in image.shape[1:]]
    if scale > 1:
        return functional.interpolate(image[None].float(), size=size, mode="nearest")[0]
    smaller = functional.interpolate(
        image[None].float(), size=size, mode="bilinear", antialias=True
    )
    return smaller[0].clamp(0, 1)


def _overlaid(grey: Tensor, activation: Tensor) -> Tensor:
    """The activation's colours over the image. grey: floating [3, h, w]; activation: [H, W]."""
    from matplotlib import colormaps

    enlarged = functional.interpolate(
        activation.float()[None, None], size=grey.shape[1:], mode="bilinear", align_corners=False
    )
    colours = torch.from_numpy(colormaps[COLOURS](enlarged[0, 0].clamp(0, 1).numpy())[..., :3])
    return STRENGTH * colours.permute(2, 0, 1) + (1 - STRENGTH) * grey


def _short(name: str) -> str:
    shown = printable(name, 1000)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
