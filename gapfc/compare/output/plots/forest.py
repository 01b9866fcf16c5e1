"""The forest plot: each group's paired difference to its baseline, with interval and seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapfc.compare.answer import Comparison
from gapfc.compare.output.plots.style import INK, MUTED, PAPER, caption, looks, new_figure
from gapfc.formatting import decimals, probability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 40  # a longer picture can no longer be read as one


def differences(comparison: Comparison) -> Figure | None:
    """A line a comparison, best first; None when there is nothing to compare with."""
    rows = [row for row in comparison.rows if row.paired is not None]
    if not rows:
        return None
    left_out = f" Shown: the best {MOST_ROWS} of {len(rows)}." if len(rows) > MOST_ROWS else ""
    compared, rows = len(rows), rows[:MOST_ROWS]
    metric, scale = comparison.measure, comparison.measure.scale
    style = looks(comparison)
    several = sum(row.is_baseline for row in comparison.rows) > 1
    baseline = next((row.label for row in comparison.rows if row.is_baseline), "baseline")
    figure, grid = new_figure(8.6, 1.9 + 0.42 * max(2, len(rows)))
    axes = grid[0][0]
    axes.axvline(0, color=INK, lw=1.2, ls=(0, (4, 2)), zorder=2)
    spreads = [
        scale * (pair.interval.high - pair.interval.low) / 2
        for row in rows
        if (pair := row.paired) is not None and pair.interval is not None
    ]
    largest = max(abs(scale * row.paired.mean) for row in rows if row.paired)
    places = decimals(min(spreads) if spreads else None, largest, most=2 if scale == 100 else 4)
    for index, row in enumerate(rows):
        pair = row.paired
        assert pair is not None
        look = style[row.label]
        mean = scale * pair.mean
        told = f"{mean:+.{places}f}"
        axes.plot(
            [scale * d for d in pair.differences], [index + 0.24] * pair.n, "|", color=MUTED,
            ms=5, mew=1, zorder=3,
        )  # fmt: skip
        if pair.interval is not None:
            low, high = scale * pair.interval.low, scale * pair.interval.high
            axes.hlines(index, low, high, color=look.colour, lw=2.4, zorder=3)
            told += f"  [{low:.{places}f}, {high:.{places}f}]"
            told += f"   p = {probability(pair.p_holm)}" if pair.p_holm is not None else ""
        else:
            told += f"   {'one seed' if pair.n == 1 else 'no interval'}"
        axes.plot(
            mean, index, look.marker, color=look.colour, ms=7, zorder=4,
            mfc=look.colour if pair.interval else PAPER,
        )  # fmt: skip
        axes.annotate(
            told.replace("p = <", "p < "), (1.02, index), xycoords=("axes fraction", "data"),
            va="center", fontsize=8.5, annotation_clip=False,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.45, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    unit = " (points)" if scale == 100 else f" ({metric.unit})" if metric.unit else ""
    against = "the row's baseline" if several else baseline
    axes.set_xlabel(f"difference to {against} in {metric.path}{unit}")
    better = "right of the line is better" if metric.better > 0 else "left of the line is better"
    axes.set_title(f"Paired differences to {against}: {better}")
    told = f"Bar: {100 * comparison.question.confidence:g}% interval. Ticks: single seeds."
    if any(row.paired and row.paired.p is not None for row in rows):
        told += " p: paired t test"
        told += f", corrected for {compared} comparisons (Holm)." if compared > 1 else "."
    if any(row.paired and row.paired.interval is None for row in rows):
        told += " Hollow: no interval."
    caption(figure, told + left_out)
    return figure
