"""What a picture is drawn on: wide for a page, narrow for a telephone; and what all have in common.

A picture is drawn once for each. Its title and caption are words of the page, which wraps them;
only a file of its own carries them inside.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gapfc.compare.answer import Comparison
from gapfc.compare.estimate import mean_and_band
from gapfc.compare.output.plots.look import GRID, INK, MUTED, PAPER
from gapfc.compare.row import Row
from gapfc.formatting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 12  # more groups than this in one picture cannot be distinguished
DPI = 200


@dataclass(frozen=True)
class Sheet:
    """Its width in inches, and how many panels stand beside each other."""

    width: float
    columns: int

    @property
    def is_narrow(self) -> bool:
        """Whether there is no room beside a plot."""
        return self.columns == 1


# Half of a page of 1,300 pixels, or all of A4; and a telephone of 390. Letters of 10 points are
# read on both.
WIDE, NARROW = Sheet(7.6, 2), Sheet(4.4, 1)


@dataclass(frozen=True)
class Drawing:
    """A picture's figure, its title, and its small print: what bands are, and what is left out."""

    figure: Figure
    title: str
    caption: str

    def with_words(self) -> Figure:
        """The figure with title and caption inside, for a file of its own."""
        width = self.figure.get_figwidth()
        title, small = (
            textwrap.fill(text, int(width * letters))
            for text, letters in ((self.title, 10), (self.caption, 17))
        )
        lines = title.count("\n") + small.count("\n") + 2
        self.figure.set_figheight(self.figure.get_figheight() + 0.18 * lines)
        if self.figure.legends:  # which would stand where a title of the figure does
            (legend,) = self.figure.legends
            legend.set_title(title)
            legend.get_title().set(fontsize=11, fontweight="bold")
            legend.set_alignment("left")
        else:
            self.figure.suptitle(title, fontsize=11, fontweight="bold", x=0.015, ha="left")
        self.figure.supxlabel(small, fontsize=8, color=MUTED, x=0.015, ha="left")
        return self.figure


def shown_rows(comparison: Comparison) -> tuple[list[Row], str]:
    """The rows one picture can hold, the best MOST_LINES and the baseline, and words for it."""
    rows = [row for row in comparison.rows if row.mean is not None]
    if len(rows) <= MOST_LINES:
        return rows, ""
    kept, told = rows[:MOST_LINES], f" Shown: the best {MOST_LINES} of {len(rows)} groups"
    baselines = [row for row in rows if row.is_baseline]
    if len(baselines) == 1 and baselines[0] not in kept:
        return kept + baselines, f"{told} and the baseline."
    return kept, f"{told}."


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib set up for these pictures, and left as it was; no display is needed."""
    import matplotlib

    matplotlib.use("agg")
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context(
            {
                # A name is words: never a formula to parse, never anything to give to LaTeX.
                "text.parse_math": False,
                "text.usetex": False,
                "font.family": "DejaVu Sans",
                "font.size": 10,
                "text.color": INK,
                "axes.edgecolor": MUTED,
                "axes.labelcolor": INK,
                "axes.titlesize": 10,
                "axes.titleweight": "bold",
                "axes.titlelocation": "left",
                "axes.titlepad": 8,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "axes.axisbelow": True,
                "grid.color": GRID,
                "grid.linewidth": 0.7,
                "xtick.color": MUTED,
                "ytick.color": MUTED,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "lines.linewidth": 1.8,
                "lines.markersize": 6,
                "legend.frameon": False,
                "figure.facecolor": PAPER,
                "axes.facecolor": PAPER,
                "savefig.dpi": DPI,
                "svg.fonttype": "path",
                "figure.constrained_layout.use": True,
            }
        ),
    ):
        # Names in a script that the font lacks: boxes in the picture are enough.
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        yield


def new_figure(
    width: float, height: float, columns: int = 1, rows: int = 1, share: Literal["x", "y"] = "y"
) -> tuple[Figure, Any]:
    """A figure of width × height inches and its axes, [rows][columns].

    share: "y": axes of a row have one y axis; "x": those of a column have both in common.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    if share == "x":
        return figure, figure.subplots(rows, columns, squeeze=False, sharex="col", sharey="col")
    return figure, figure.subplots(rows, columns, squeeze=False, sharey="row")


def panels(sheet: Sheet, number: int, height: float = 3.0) -> tuple[Figure, list[Any]]:
    """A figure of so many panels of `height` inches, and their axes; as many in a row as fit."""
    columns = min(sheet.columns, number)
    rows = -(-number // columns)
    figure, grid = new_figure(sheet.width, height * rows + 0.3, columns, rows)
    every = [axes for row in grid for axes in row]
    for axes in every[number:]:
        axes.set_visible(False)
    return figure, every[:number]


def name_left(grid: Sequence[Axes], sheet: Sheet, name: str) -> None:
    """Name the y axis of the first panel of each row; those of a row share it."""
    for axes in grid[:: sheet.columns]:
        axes.set_ylabel(name)


def line_with_band(
    axes: Axes, xs: Any, values: Sequence[Sequence[float]], confidence: float,
    within: tuple[float, float], **line: Any,
) -> None:  # fmt: skip
    """The mean of values [points][runs] over xs [points], and its interval over seeds as a band.

    within: what the measure can be; the band is cut to it. Where there is no interval, as with one
    seed, there is no band.
    """
    means, low, high = mean_and_band(values, confidence, within)
    axes.plot(xs, means, ms=5, **line)
    axes.fill_between(xs, low, high, color=line["color"], alpha=0.13, lw=0)


def band(confidence: float) -> str:
    """The caption of `line_with_band`."""
    return f"Line: mean over seeds. Band: {percent(confidence)} interval over seeds."


def legend_above(figure: Figure, axes: Axes) -> None:
    """The legend over the plots, where it cannot hide a line; the figure grows by its height."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        inches = [0.68 + 0.075 * len(label) for label in labels]
        fitting = (
            columns
            for columns in range(len(labels), 1, -1)
            if sum(map(max, _columns(inches, columns))) < figure.get_figwidth() - 0.2
        )
        columns = next(fitting, 1)
        figure.set_figheight(figure.get_figheight() + 0.19 * -(-len(labels) // columns))
        figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, handlelength=2.6,
            columnspacing=1.4, fontsize=9,
        )  # fmt: skip


def _columns(items: list[float], number: int) -> list[list[float]]:
    """As matplotlib fills them: the first ones are longer by one."""
    short, longer = divmod(len(items), number)
    sizes = [short + (column < longer) for column in range(number)]
    return [items[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(number)]
