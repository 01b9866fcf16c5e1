"""The pictures of a comparison, each a function from `Comparison` to a matplotlib figure."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gapfc.compare.answer import Comparison
from gapfc.compare.output.plots import curves, forest, probes, scatter, transfer
from gapfc.compare.output.plots.style import DPI, styled
from gapfc.records.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# File name: its title on the page, and the function that draws it; in order of appearance.
PICTURES: dict[str, tuple[str, Callable[[Comparison], Figure | None]]] = {
    "differences": (
        "How far each group is from the baseline, paired by seed", forest.differences,
    ),
    "transfer": ("Transfer: source head by protocol", transfer.heat_map),
    "drift": ("Transfer: how far the features moved", transfer.drift),
    "learning_curves": ("Accuracy by epoch, in training and validation", curves.learning_curves),
    "accuracy_over_seconds": ("Accuracy by time of training", curves.accuracy_over_seconds),
    "convergence": ("Runs that have reached the target", curves.convergence),
    "shift": ("Accuracy when images are shifted", probes.shift),
    "size": ("Accuracy at other image sizes", probes.size),
    "corruption": ("Accuracy on corrupted images", probes.corruption),
    "reliability": ("Accuracy by confidence: how well calibrated", probes.reliability),
    "against_parameters": ("The metric against parameters", scatter.against_parameters),
    "against_macs": ("The metric against compute", scatter.against_macs),
}  # fmt: skip


def figures(comparison: Comparison) -> Iterator[tuple[str, Figure]]:
    """Every picture that this comparison has data for, with its name."""
    with styled():
        for name, (_, draw_one) in PICTURES.items():
            figure = draw_one(comparison)
            if figure is not None:
                yield name, figure


def svg(figure: Figure, name: str) -> str:
    """The figure as SVG whose ids start from `name`: so that several fit on one page."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


@dataclass(frozen=True)
class Picture:
    """A finished picture: its file name without extension, what it shows, SVG, PNG if wanted."""

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
        made.append(Picture(name, PICTURES[name][0], drawing, image.getvalue() if png else None))
    return made


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def save_all(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write each picture into `folder`; return the files written. OSError if that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for picture in pictures:
        files = {".svg": picture.svg.encode(), ".png": picture.png}
        for ending, content in files.items():
            if content is not None:
                path = folder / f"{picture.name}{ending}"
                atomic_write(path, partial(_put, content))
                written.append(path)
    return written
