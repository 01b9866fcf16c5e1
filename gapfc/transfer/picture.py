"""How far the features moved, as a picture: CKA by stage over weight change by layer."""

from collections.abc import Mapping

from torch import Tensor

from gapfc.tensorboard.images import drawn, new_figure


def moved_picture(cka: Mapping[str, float | None], drift: Mapping[str, float | None]) -> Tensor:
    """Bars of linear CKA by stage, and of relative weight change by layer, first layers on top.

    Returns uint8 [3, h, w].
    """
    rows = max(len(cka), len(drift), 1)
    least = min([0.0, *(value for value in cka.values() if value is not None)])
    # One above the other: TensorBoard shows some 300 pixels of width.
    figure = new_figure(6, 1.6 + 0.3 * min(rows, 40) * 2)
    panels = (
        (cka, "linear CKA before and after (1: unchanged)", (least, 1.0)),
        (drift, "relative weight change ‖after − before‖ / ‖before‖", (0.0, None)),
    )
    for axes, (values, title, (low, high)) in zip(figure.subplots(2, 1), panels, strict=True):
        names = list(values)
        known = [float("nan") if v is None else v for v in values.values()]
        axes.barh(range(len(names)), known, color="#3b75af")
        points = max(3, min(11, 500 // (len(names) + 1)))
        axes.set_yticks(range(len(names)), names, fontsize=points)
        axes.invert_yaxis()
        largest = max((value for value in known if value == value), default=0.0)
        axes.set_xlim(low, high if high is not None else 1.2 * largest or 1.0)
        axes.set_title(title, fontsize=12)
        for row, value in enumerate(known):
            if len(names) <= 30 and value == value:
                inside = high is not None and value > 0.8 * high
                axes.text(
                    value, row, f" {value:.3f} ", va="center", fontsize=10,
                    ha="right" if inside else "left", color="white" if inside else "black",
                )  # fmt: skip
    return drawn(figure)
