"""The reliability diagram as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from gapfc.tensorboard.images import drawn, new_figure

POINTS = 12


def reliability_picture(bins: Sequence[Mapping[str, Any]]) -> Tensor:
    """Accuracy over confidence, a point for each bin, and below them how many images it has.

    bins: confidence, accuracy (both None where it is empty) and count. Returns uint8 [3, h, w].
    """
    full = [each for each in bins if each["count"]]
    x, y = ([each[key] for each in full] for key in ("confidence", "accuracy"))
    figure = new_figure(5, 5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot((0, 1), (0, 1), color="0.6", linestyle="--", linewidth=1)
    above.plot(x, y, marker="o")
    above.set_ylabel("accuracy", fontsize=POINTS)
    above.set_ylim(0, 1.02)
    below.bar(x, [each["count"] for each in full], width=0.6 / len(bins))
    below.set_ylabel("images", fontsize=POINTS)
    below.set_xlabel("confidence", fontsize=POINTS)
    below.set_xlim(0, 1.02)
    return drawn(figure)
