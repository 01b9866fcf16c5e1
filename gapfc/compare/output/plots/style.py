"""One look for all pictures: colours that the colour-blind tell apart, and that survive print.

Colours are Okabe and Ito's ("Color Universal Design", 2008) without yellow, which vanishes on
white, then three of Paul Tol's muted ones. No two groups differ by colour alone: each has a marker
and, in lines, a dash as well. The baseline is always ink, dashed, with a square.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gapfc.compare.answer import Comparison
from gapfc.compare.curves import Array
from gapfc.compare.row import Row
from gapfc.formatting import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2328"
MUTED = "#6e7781"
GRID = "#d8dee4"
PAPER = "#ffffff"
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933",
    "#44aa99",
)  # fmt: skip
MARKERS = "oDv^P<X>p"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.2)), (0, (3, 1, 1, 1)), (0, (1.2, 1.2)))
MOST_LINES = 12  # more groups than this in one picture cannot be distinguished
DPI = 200
LONGEST_DRAWN = 60


@dataclass(frozen=True)
class Look:
    """How one group is drawn in every picture."""

    colour: str
    marker: str
    dash: Any
    label: str


def looks(comparison: Comparison) -> dict[str, Look]:
    """The look of every group by label: by name order, so that better seeds change no colour."""
    alone = sum(row.is_baseline for row in comparison.rows) == 1
    made = {}
    index = 0
    for row in sorted(comparison.rows, key=lambda row: row.label):
        name = drawn_name(row.label) + (" (baseline)" if row.is_baseline else "")
        if row.is_baseline and alone:
            made[row.label] = Look(INK, "s", (0, (4, 2)), name)
        else:
            made[row.label] = ordinary_look(index, name)
            index += 1
    return made


def ordinary_look(index: int, label: str) -> Look:
    """The look of the group or line number `index` that is no lone baseline."""
    dash = DASHES[(index // len(COLOURS)) % len(DASHES)]
    return Look(
        COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)], dash, drawn_name(label)
    )


def drawn_name(name: str) -> str:
    """A name as it fits beside a plot. matplotlib has no legend for one that starts with `_`."""
    shown = printable(name, LONGEST_DRAWN)
    return f" {shown}" if shown.startswith("_") else shown


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
                "axes.titlesize": 11,
                "axes.titleweight": "bold",
                "axes.titlelocation": "left",
                "axes.titlepad": 10,
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
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.06)
    if share == "x":
        return figure, figure.subplots(rows, columns, squeeze=False, sharex="col", sharey="col")
    return figure, figure.subplots(rows, columns, squeeze=False, sharey="row")


def line_with_band(axes: Axes, xs: Array, values: Array, **look: Any) -> None:
    """The mean of `values` [runs, points] over `xs` [points]; lowest to highest run as a band."""
    axes.plot(xs, values.mean(axis=0), ms=5, **look)
    if len(values) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(xs, low, high, color=look["color"], alpha=0.13, lw=0)


def legend_above(figure: Figure, axes: Axes) -> None:
    """The legend over the plots, where it cannot hide a line; the figure grows by its height."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        inches = 0.68 + 0.07 * max(map(len, labels))
        columns = max(1, int((figure.get_figwidth() - 0.2) / inches))
        figure.set_figheight(figure.get_figheight() + 0.19 * -(-len(labels) // columns))
        figure.legend(
            handles, labels, loc="outside upper left", ncols=min(columns, len(labels)),
            handlelength=2.6, columnspacing=1.4, fontsize=9,
        )  # fmt: skip


def caption(figure: Figure, text: str) -> None:
    """Small print under the plots: what band and whiskers are, and what is left out."""
    lines = textwrap.fill(text, int(figure.get_figwidth() * 17))
    figure.supxlabel(lines, fontsize=8, color=MUTED, x=0.015, ha="left")
