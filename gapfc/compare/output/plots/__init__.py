"""The pictures of a comparison, each a function from `Comparison` to a matplotlib figure."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gapfc.compare.answer import Comparison
from gapfc.compare.output.plots import curves, forest, scatter, transfer
from gapfc.compare.output.plots.style import DPI, styled
from gapfc.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# File name -> what it shows, for the reader of a page; in the order they are told.
TITLES: dict[str, str] = {
    "differences": "How far each group is from the baseline, paired by seed",
    "transfer": "Transfer: source head by protocol",
    "drift": "Transfer: how far the features moved",
    "learning_curves": "Accuracy by epoch, in training and validation",
    "accuracy_over_seconds": "Accuracy by time of training",
    "convergence": "Runs that have reached the target",
    "against_parameters": "The metric against parameters",
    "against_macs": "The metric against compute",
}
DRAW: dict[str, Callable[[Comparison], Figure | None]] = {
    "differences": forest.differences,
    "transfer": transfer.heat_map,
    "drift": transfer.drift,
    "learning_curves": curves.learning_curves,
    "accuracy_over_seconds": curves.accuracy_over_seconds,
    "convergence": curves.convergence,
    "against_parameters": scatter.against_parameters,
    "against_macs": scatter.against_macs,
}


def figures(comparison: Comparison) -> Iterator[tuple[str, Figure]]:
    """Every picture that this comparison has anything for, with its name."""
    with styled():
        for name, draw in DRAW.items():
            figure = draw(comparison)
            if figure is not None:
                yield name, figure


def svg(figure: Figure, name: str) -> str:
    """The figure as SVG whose ids start from `name`: several may stand in one page."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


@dataclass(frozen=True)
class Picture:
    """A finished picture: its file name without ending, what it shows, SVG, and PNG if asked."""

    name: str
    title: str
    svg: str
    png: bytes | None


def draw(comparison: Comparison, png: bool = True) -> list[Picture]:
    """Every picture as SVG, and as PNG (200 dpi), which a page does not need."""
    made = []
    for name, figure in figures(comparison):
        image = io.BytesIO()
        if png:
            figure.savefig(image, format="png", dpi=DPI)
        drawing = svg(figure, name)
        made.append(Picture(name, TITLES[name], drawing, image.getvalue() if png else None))
    return made


def save_all(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Writes each picture into `folder`; the files written.

    Raises UserError when the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            drawing = folder / f"{picture.name}.svg"
            drawing.write_text(picture.svg, encoding="utf-8")
            written.append(drawing)
            if picture.png is not None:
                image = folder / f"{picture.name}.png"
                image.write_bytes(picture.png)
                written.append(image)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    return written
