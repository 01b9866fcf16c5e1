"""The metric against what it costs: parameters, multiply-accumulates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gapfc.compare.answer import Comparison
from gapfc.compare.output.plots.labels import label_points
from gapfc.compare.output.plots.look import looks
from gapfc.compare.output.plots.sheet import Drawing, Sheet, panels, shown_rows
from gapfc.compare.row import Row
from gapfc.formatting import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


ZERO = 0.1  # where a cost of 0 is drawn on a logarithmic axis, as a share of the smallest other


def against_parameters(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """The metric against the head's parameters; None if no run counted them, or all are equal."""
    return _against(comparison, sheet, "parameters.head", "parameters of the head")


def against_macs(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """The metric against multiply-accumulates per image; None as above."""
    return _against(comparison, sheet, "macs.total", "multiply-accumulates (MACs) per image")


def _against(comparison: Comparison, sheet: Sheet, path: str, axis: str) -> Drawing | None:
    shown, left_out = shown_rows(comparison)
    counted = [(row, row.mean_of(path)) for row in shown]
    known = [(row, cost) for row, cost in counted if cost is not None and cost >= 0]
    rows, costs = [row for row, _ in known], [cost for _, cost in known]
    if len(set(costs)) < 2:
        return None
    style, metric = looks(comparison), comparison.measure
    figure, (axes,) = panels(sheet, 1, 3.8)
    least = min(cost for cost in costs if cost > 0)
    logarithmic = max(costs) / least > 3
    places = [cost or ZERO * least for cost in costs] if logarithmic else costs
    spots = _apart(places, logarithmic)
    points, obstacles = [], []
    for row, x in zip(rows, spots, strict=True):
        look = style[row.label]
        assert row.mean is not None
        mean = metric.scale * row.mean
        low, high = _ends(row, metric.scale)
        axes.vlines(x, low, high, color=look.colour, lw=1.4, alpha=0.7)
        axes.plot(x, mean, color=look.colour, marker=look.marker, mfc=look.face, ms=8, zorder=4)
        points.append((x, mean))
        obstacles.append(((x, low), (x, high)))
        if row.is_baseline and sum(other.is_baseline for other in rows) == 1:
            axes.axhline(mean, color=look.colour, lw=0.9, ls=(0, (4, 3)), zorder=1)
            obstacles.append(((min(spots), mean), (max(spots), mean)))
    _scale_axis(axes, places, logarithmic, 0.0 in costs)
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(f"{axis}, logarithmic" if logarithmic else axis)
    axes.set_ylabel(metric.axis)
    told = "Marker: mean over seeds."
    covers = dict.fromkeys(metric.covers(row.interval.method) for row in rows if row.interval)
    if covers:
        told += f" Bar: {percent(comparison.question.confidence)} interval {' or '.join(covers)}."
    if spots != places:
        told += " Groups of equal cost are drawn slightly apart."
    names = [style[row.label].label for row in rows]
    label_points(axes, points, names, [style[row.label].colour for row in rows], obstacles)
    title = f"{metric.path} against {axis}: {metric.direction}"
    return Drawing(figure, title, told + left_out)


def _ends(row: Row, scale: float) -> tuple[float, float]:
    """Of the group's own interval; without one, its mean twice."""
    assert row.mean is not None
    ends = (row.interval.low, row.interval.high) if row.interval else (row.mean, row.mean)
    return scale * ends[0], scale * ends[1]


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


def _scale_axis(axes: Axes, costs: list[float], logarithmic: bool, zero: bool) -> None:
    """zero: the smallest of `costs` stands for a cost of 0."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        # So that both ends of the axis have a tick beyond the points.
        low, high = math.log10(min(costs)), math.log10(max(costs))
        axes.set_xlim(10 ** (low - 0.12 * (high - low)), 10 ** (high + 0.12 * (high - low)))
        if max(costs) / min(costs) < 30:
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    if zero and logarithmic:
        ticks = [x for x in axes.get_xticks() if min(costs) * 5 < x <= max(costs) * 2]
        axes.set_xticks([min(costs), *ticks])
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: "0" if zero and x == min(costs) else count(x))
    )
