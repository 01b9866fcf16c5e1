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
    figure = new_figure(10, min(1.2 + 0.3 * rows, 14))
    panels = (
        (cka, "linear CKA before and after (1: unchanged)", (least, 1.0)),
        (drift, "relative weight change ‖after − before‖ / ‖before‖", (0.0, None)),
    )
    for axes, (values, title, (low, high)) in zip(figure.subplots(1, 2), panels, strict=True):
        names = list(values)
        known = [float("nan") if v is None else v for v in values.values()]
        axes.barh(range(len(names)), known, color="#3b75af")
        axes.set_yticks(range(len(names)), names, fontsize=max(3, min(8, 360 // (len(names) + 1))))
        axes.invert_yaxis()
        axes.set_xlim(low, high)
        axes.set_title(title, fontsize=9)
        for row, value in enumerate(known):
            if len(names) <= 30 and value == value:
                axes.text(value, row, f" {value:.3f}", va="center", fontsize=7, clip_on=False)
    return drawn(figure)
