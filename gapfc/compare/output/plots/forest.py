"""The forest plot: each group's paired difference to its baseline, with interval and seeds."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from gapfc.compare.answer import Comparison
from gapfc.compare.output.plots.look import GRID, INK, MUTED, PAPER, drawn_name, looks
from gapfc.compare.output.plots.sheet import Drawing, Sheet, new_figure
from gapfc.formatting import decimals, percent, probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 40  # a longer picture can no longer be taken in at once


def differences(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """One line per comparison, best first; None if there is nothing to compare with."""
    pairs = [(row, row.paired) for row in comparison.rows if row.paired is not None]
    if not pairs:
        return None
    left_out = f" Shown: the best {MOST_ROWS} of {len(pairs)}." if len(pairs) > MOST_ROWS else ""
    compared, pairs = len(pairs), pairs[:MOST_ROWS]
    metric, scale = comparison.measure, comparison.measure.scale
    style = looks(comparison)
    baselines = [drawn_name(row.label) for row in comparison.rows if row.is_baseline]
    figure, axes = forest(sheet, [drawn_name(row.label) for row, _ in pairs])
    axes.axvline(0, color=INK, lw=1.2, ls=(0, (4, 2)), zorder=2)
    margin = comparison.question.margin
    if margin is not None:
        axes.axvspan(-margin, margin, color=GRID, alpha=0.6, lw=0, zorder=1)
    halves = [scale * pair.interval.half for _, pair in pairs if pair.interval]
    largest = max(abs(scale * pair.mean) for _, pair in pairs)
    places = decimals(min(halves, default=None), largest, most=2 if metric.is_share else 4)
    for index, (row, pair) in enumerate(pairs):
        look = style[row.label]
        told = metric.told(pair.mean, places, "+")
        axes.plot(
            [scale * d for d in pair.differences], [index + 0.24] * pair.n, "|", color=MUTED,
            ms=5, mew=1, zorder=3,
        )  # fmt: skip
        if pair.interval is not None:
            low, high = pair.interval.low, pair.interval.high
            axes.hlines(index, scale * low, scale * high, color=look.colour, lw=2.4, zorder=3)
            told += f"  [{metric.told(low, places)}, {metric.told(high, places)}]"
            told += f"   p = {probability(pair.p_holm)}" if pair.p_holm is not None else ""
        else:
            told += f"   {'one seed' if pair.n == 1 else 'no interval'}"
        axes.plot(
            scale * pair.mean, index, look.marker, color=look.colour, ms=7, zorder=4,
            mfc=look.face if pair.interval else PAPER,
        )  # fmt: skip
        beside(axes, sheet, index, told.replace("p = <", "p < "))
    unit = f" ({metric.unit_of_difference})" if metric.unit_of_difference else ""
    against = "the row's baseline" if len(baselines) > 1 else (baselines or ["baseline"])[0]
    axes.set_xlabel(f"difference to {against} in {metric.path}{unit}")
    better = "right" if metric.better > 0 else "left"
    covers = dict.fromkeys(
        metric.covers(pair.interval.method) for _, pair in pairs if pair.interval
    )
    told = f"Bar: {percent(comparison.question.confidence)} interval {' or '.join(covers)}".rstrip()
    told += ". Ticks: single seeds."
    if margin is not None:
        told += f" Shaded: the margin of ±{margin:g}{f' {metric.unit_of_difference}'.rstrip()}."
    if any(pair.p is not None for _, pair in pairs):
        told += " p: two-sided, of no difference"
        told += f", corrected for {compared} comparisons (Holm)." if compared > 1 else "."
    if any(pair.interval is None for _, pair in pairs):
        told += " Hollow: no interval."
    title = f"Difference to {against}, paired by seed: {better} of the line is better"
    return Drawing(figure, title, told + left_out)


def forest(sheet: Sheet, names: list[str]) -> tuple[Figure, Axes]:
    """A figure and its axes, a line for each name from the top, and room for `beside`."""
    line = 0.62 if sheet.is_narrow else 0.42
    figure, grid = new_figure(sheet.width, 0.8 + line * max(2, len(names)))
    axes: Axes = grid[0][0]
    if sheet.is_narrow:
        axes.set_yticks([])
        for index, name in enumerate(names):
            axes.annotate(
                textwrap.fill(name, 30), (0, index - 0.42), xycoords=("axes fraction", "data"),
                va="center", fontsize=9.5,
            )  # fmt: skip
    else:
        axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.7 if sheet.is_narrow else -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure, axes


def beside(axes: Axes, sheet: Sheet, index: int, told: str) -> None:
    """A line's numbers: to the right of the plot or, where there is no room, above the line."""
    at, across = ((1, index - 0.42), "right") if sheet.is_narrow else ((1.02, index), "left")
    axes.annotate(
        told, at, xycoords=("axes fraction", "data"), ha=across, va="center", fontsize=8.5,
        annotation_clip=False, bbox={"fc": PAPER, "ec": "none", "pad": 1.5}, zorder=5,
    )  # fmt: skip
