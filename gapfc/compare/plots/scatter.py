"""The metric against what it costs: parameters, multiply-accumulates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapfc.compare.comparison import Comparison, Row
from gapfc.compare.measures import count
from gapfc.compare.plots.labels import label_points
from gapfc.compare.plots.style import caption, looks, new_figure, shown_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def against_parameters(comparison: Comparison) -> Figure | None:
    """The metric against total parameters; None when no run counted them."""
    return _against(comparison, "parameters", "parameters of backbone and head")


def against_macs(comparison: Comparison) -> Figure | None:
    """The metric against multiply-accumulates an image; None when no run counted them."""
    return _against(comparison, "macs", "multiply-accumulates (MACs) an image")


def _cost(row: Row, name: str) -> float | None:
    return row.parameters if name == "parameters" else row.macs


def _against(comparison: Comparison, name: str, axis: str) -> Figure | None:
    rows, left_out = shown_rows(comparison)
    points = [(row, cost) for row in rows if (cost := _cost(row, name)) is not None]
    if not points:
        return None
    style = looks(comparison)
    scale = comparison.measure.scale
    figure, grid = new_figure(7.4, 4.6)
    axes = grid[0][0]
    places, names, colours, bars = [], [], [], []
    for row, cost in points:
        look = style[row.label]
        seeds = [scale * value for value in row.metric.values()]
        mean = sum(seeds) / len(seeds)
        axes.vlines(cost, min(seeds), max(seeds), color=look.colour, lw=1.4, alpha=0.7)
        axes.plot(cost, mean, color=look.colour, marker=look.marker, ms=8, ls="none", zorder=4)
        places.append((cost, mean))
        names.append(look.label)
        colours.append(look.colour)
        bars.append((cost, min(seeds), max(seeds)))
        if row.is_baseline and sum(other.is_baseline for other in rows) == 1:
            axes.axhline(mean, color=look.colour, lw=0.9, ls=(0, (4, 3)), zorder=1)
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    costs = [cost for _, cost in points]
    if min(costs) > 0 and max(costs) / min(costs) > 3:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axis += ", logarithmic"
        if max(costs) / min(costs) < 30:
            from matplotlib.ticker import LogLocator

            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(axis)
    axes.set_ylabel(comparison.measure.axis)
    axes.set_title(
        f"{comparison.measure.path} ({comparison.measure.direction}) against {axis.split(' ')[0]}"
    )
    told = "Marker: mean over seeds. Bar: from the lowest to the highest seed."
    caption(figure, told + (f" Shown: {left_out}." if left_out else ""))
    label_points(axes, places, names, colours, bars)
    return figure
