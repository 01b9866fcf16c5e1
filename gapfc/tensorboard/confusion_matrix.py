"""The confusion matrix as a picture."""

from collections.abc import Sequence

from torch import Tensor

from gapfc.formatting import printable
from gapfc.tensorboard.images import drawn, new_figure

LABELS_UP_TO = 40
COUNTS_UP_TO = 20
LABEL_POINTS = 12


def confusion_picture(confusion: Tensor, classes: Sequence[str]) -> Tensor:
    """Rows are true classes, columns predicted ones, colours the share of a row.

    confusion: int [K, K]; classes: K names, written up to 40 classes, with the counts in the
    cells up to 20. Returns uint8 [3, h, w].
    """
    k = len(confusion)
    if confusion.shape != (k, len(classes)):
        raise ValueError(
            f"confusion of shape {list(confusion.shape)} does not fit {len(classes)} classes"
        )
    counts = confusion.cpu().double()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    # TensorBoard shows some 300 pixels of width: large letters, and no more margin than they need.
    names = [printable(str(name), 1000) for name in classes]
    names = [name if len(name) <= 16 else f"{name[:15]}…" for name in names]
    margin = 0.9 + (0.1 * max(map(len, names)) if k <= LABELS_UP_TO else 0)
    side = min(max(4.0, margin + 0.4 * k), 12.0)
    digits = len(str(int(counts.max())))
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted class", fontsize=LABEL_POINTS)
    axes.set_ylabel("true class", fontsize=LABEL_POINTS)
    if k <= LABELS_UP_TO:
        axes.set_xticks(range(k), names, rotation=90, fontsize=LABEL_POINTS)
        axes.set_yticks(range(k), names, fontsize=LABEL_POINTS)
    if k <= COUNTS_UP_TO:
        for row, column in confusion.cpu().nonzero().tolist():
            axes.text(
                column,
                row,
                str(int(counts[row, column])),
                ha="center",
                va="center",
                fontsize=min(LABEL_POINTS, 36 / digits),
                color="white" if shares[row, column] > 0.5 else "black",
                # A dollar sign in a class name does not start a formula.
                parse_math=False,
            )
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    return drawn(figure)
