"""The metric against what it costs: parameters, multiply-accumulates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gapfc.compare.answer import Comparison
from gapfc.compare.output.plots.labels import label_points
from gapfc.compare.output.plots.style import caption, looks, new_figure, shown_rows
from gapfc.formatting import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def against_parameters(comparison: Comparison) -> Figure | None:
    """The metric against total parameters; None when no run counted them."""
    return _against(comparison, "parameters.total", "parameters of backbone and head")


def against_macs(comparison: Comparison) -> Figure | None:
    """The metric against multiply-accumulates per image; None when no run counted them."""
    return _against(comparison, "macs.total", "multiply-accumulates (MACs) per image")


def _against(comparison: Comparison, path: str, axis: str) -> Figure | None:
    shown, left_out = shown_rows(comparison)
    known = [(row, cost) for row in shown if (cost := row.mean_of(path)) is not None]
    if not known:
        return None
    rows, costs = [row for row, _ in known], [cost for _, cost in known]
    style = looks(comparison)
    scale = comparison.measure.scale
    figure, grid = new_figure(7.4, 4.6)
    axes = grid[0][0]
    logarithmic = min(costs) > 0 and max(costs) / min(costs) > 3
    spots = _apart(costs, logarithmic)
    places, obstacles = [], []
    for row, x in zip(rows, spots, strict=True):
        look = style[row.label]
        seeds = [scale * value for value in row.metric.values()]
        mean = sum(seeds) / len(seeds)
        axes.vlines(x, min(seeds), max(seeds), color=look.colour, lw=1.4, alpha=0.7)
        axes.plot(x, mean, color=look.colour, marker=look.marker, ms=8, ls="none", zorder=4)
        places.append((x, mean))
        obstacles.append(((x, min(seeds)), (x, max(seeds))))
        if row.is_baseline and sum(other.is_baseline for other in rows) == 1:
            axes.axhline(mean, color=look.colour, lw=0.9, ls=(0, (4, 3)), zorder=1)
            obstacles.append(((min(spots), mean), (max(spots), mean)))
    _scale_axis(axes, costs, logarithmic)
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(f"{axis}, logarithmic" if logarithmic else axis)
    axes.set_ylabel(comparison.measure.axis)
    metric = comparison.measure
    axes.set_title(f"{metric.path} ({metric.direction}) against {axis.partition(' ')[0]}")
    told = "Marker: mean over seeds. Bar: from the lowest to the highest seed."
    if spots != costs:
        told += " Groups of equal cost are drawn slightly apart."
    caption(figure, told + left_out)
    names = [style[row.label].label for row in rows]
    label_points(axes, places, names, [style[row.label].colour for row in rows], obstacles)
    return figure


def _apart(costs: list[float], logarithmic: bool) -> list[float]:
    """Costs that would be drawn over each other, spread by a hundredth of the axis each."""
    at = [math.log(cost) if logarithmic else cost for cost in costs]
    hair = 0.012 * ((max(at) - min(at)) or abs(max(at)) or 1.0)
    order = sorted(range(len(at)), key=lambda i: at[i])
    clusters: list[list[int]] = []
    for index in order:
        if clusters and at[index] - at[clusters[-1][-1]] < hair / 2:
            clusters[-1].append(index)
        else:
            clusters.append([index])
    spots = list(costs)
    for cluster in clusters:
        centre = sum(at[i] for i in cluster) / len(cluster)
        for rank, i in enumerate(cluster):
            if len(cluster) > 1:
                moved = centre + hair * (rank - (len(cluster) - 1) / 2)
                spots[i] = math.exp(moved) if logarithmic else moved
    return spots


def _scale_axis(axes: Axes, costs: list[float], logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        if max(costs) / min(costs) < 30:
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
