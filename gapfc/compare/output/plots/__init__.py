"""The pictures of a comparison, each a function from `Comparison` and `Sheet` to a `Drawing`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gapfc.compare.answer import Comparison
from gapfc.compare.output.plots import classes, curves, forest, probes, scatter, transfer
from gapfc.compare.output.plots.sheet import DPI, NARROW, WIDE, Drawing, Sheet, styled
from gapfc.records.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANSWER, BY_CLASS = "The answer", "Class by class"
# File name: the section of the page that it stands in, and what draws it; in order of appearance.
PICTURES: dict[str, tuple[str, Callable[[Comparison, Sheet], Drawing | None]]] = {
    "differences": (ANSWER, forest.differences),
    "transfer": ("Transfer", transfer.heat_map),
    "drift": ("Transfer", transfer.drift),
    "learning_curves": ("Convergence", curves.learning_curves),
    "accuracy_over_seconds": ("Convergence", curves.accuracy_over_seconds),
    "convergence": ("Convergence", curves.convergence),
    "against_parameters": ("Size and compute", scatter.against_parameters),
    "against_macs": ("Size and compute", scatter.against_macs),
    "shift": ("Robustness and calibration", probes.shift),
    "size": ("Robustness and calibration", probes.size),
    "corruption": ("Robustness and calibration", probes.corruption),
    "reliability": ("Robustness and calibration", probes.reliability),
    "recall": (BY_CLASS, classes.recall),
    "confusion": (BY_CLASS, classes.confusion),
    "confused": (BY_CLASS, classes.confused),
}


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    name: its file name without extension. section: of the page.
    wide, narrow: SVG for a page, which shows title and caption itself; empty if not asked for.
    svg, png: for files of their own, with both; None if not asked for.
    """

    name: str
    section: str
    title: str
    caption: str
    wide: str = ""
    narrow: str = ""
    svg: str | None = None
    png: bytes | None = None


def drawings(comparison: Comparison, sheet: Sheet) -> Iterator[tuple[str, Drawing]]:
    """Every picture that this comparison has data for, with its name."""
    with styled():
        for name, (_, draw_one) in PICTURES.items():
            drawing = draw_one(comparison, sheet)
            if drawing is not None:
                yield name, drawing


def svg(figure: Figure, name: str) -> str:
    """The figure as SVG whose ids start from `name`: so that several fit on one page."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def draw(comparison: Comparison, page: bool = True, files: bool = True) -> list[Picture]:
    """Every picture: for a page, and as files of SVG and PNG (200 dpi), as asked for."""
    narrow = {}
    if page:
        narrow = {
            name: svg(drawing.figure, f"{name}-narrow")
            for name, drawing in drawings(comparison, NARROW)
        }
    made = []
    for name, drawing in drawings(comparison, WIDE):
        wide = svg(drawing.figure, name) if page else ""
        own, image = None, None
        if files:
            figure, out = drawing.with_words(), io.BytesIO()
            figure.savefig(out, format="png", dpi=DPI)
            own, image = svg(figure, name), out.getvalue()
        section = PICTURES[name][0]
        made.append(
            Picture(
                name, section, drawing.title, drawing.caption, wide, narrow.get(name, ""), own,
                image,
            )
        )  # fmt: skip
    return made


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def save_all(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write each picture into `folder`; return the files written. OSError if that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for picture in pictures:
        own = None if picture.svg is None else picture.svg.encode()
        for ending, content in ((".svg", own), (".png", picture.png)):
            if content is not None:
                path = folder / f"{picture.name}{ending}"
                atomic_write(path, partial(_put, content))
                written.append(path)
    return written
