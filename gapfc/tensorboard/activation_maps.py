"""Class activation maps as a picture: predictions, right and wrong, and what spoke for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from gapfc.formatting import printable
from gapfc.tensorboard.images import drawn, new_figure

COLUMNS = 4
LONGEST = 14  # characters of a class name
# Perceptually uniform, and apart from the grey of an image all along.
COLOURS, STRENGTH = "viridis", 0.6
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
    rows = max(1, -(-len(examples) // COLUMNS))
    figure = new_figure(6.4, 0.7 + 3.9 * rows)
    panels = figure.subplots(2 * rows, COLUMNS, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    shown = None
    for number, example in enumerate(examples):
        row, column = divmod(number, COLUMNS)
        above, below = panels[2 * row][column], panels[2 * row + 1][column]
        picture = example.image.permute(1, 2, 0).numpy()
        grey = example.image.mean(0).numpy()
        above.imshow(picture, interpolation="nearest")
        right = example.label == example.prediction
        colour = "black" if right else "#b2182b"
        # A dollar sign in a class name does not start a formula.
        above.set_title(example.title, fontsize=10, color=colour, loc="left", parse_math=False)
        below.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        if example.activation.any():
            size = example.image.shape[1:]
            enlarged = functional.interpolate(
                example.activation.float()[None, None],
                size=size,
                mode="bilinear",
                align_corners=False,
            )
            shown = below.imshow(
                enlarged[0, 0].clamp(0, 1).numpy(), cmap=COLOURS, vmin=0, vmax=1, alpha=STRENGTH
            )
        else:
            height, width = grey.shape
            below.text(
                (width - 1) / 2, (height - 1) / 2, BLANK, ha="center", va="center", fontsize=10,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85},
            )  # fmt: skip
    if shown is not None:
        bar = figure.colorbar(
            shown, ax=panels.ravel().tolist(), orientation="horizontal", shrink=0.6, aspect=30
        )
        bar.set_label("evidence for the predicted class, of each map's own maximum", fontsize=10)
    return drawn(figure)


def _short(name: str) -> str:
    shown = printable(name, 1000)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
