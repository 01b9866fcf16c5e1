"""Pictures over training: accuracy by epoch, accuracy by second, share of runs at the target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gapfc.compare.answer import Comparison
from gapfc.compare.curves import over_seeds
from gapfc.compare.fields import metric_of, value_of
from gapfc.compare.output.plots.style import (
    MUTED,
    caption,
    legend_above,
    line_with_band,
    looks,
    new_figure,
    shown_rows,
)
from gapfc.compare.row import Row
from gapfc.formatting import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAND = "Line: mean over seeds. Band: from the lowest to the highest seed."


def learning_curves(comparison: Comparison) -> Figure | None:
    """Training and validation accuracy by epoch; None when no run has a metrics.csv."""
    return _against(
        comparison, "epoch", "epoch",
        (("train_accuracy", "Training (augmented, in train mode)"), ("val_accuracy", "Validation")),
    )  # fmt: skip


def accuracy_over_seconds(comparison: Comparison) -> Figure | None:
    """Validation accuracy by seconds of training, without evaluation and start-up."""
    devices = ", ".join(
        sorted({value_of(run, "device") for row in comparison.rows for run in row.runs.values()})
    )
    return _against(
        comparison, "seconds", f"training time without evaluation (s, on {devices})",
        (("val_accuracy", "Validation accuracy over training time"),),
    )  # fmt: skip


def _against(
    comparison: Comparison, x: str, axis: str, panels: tuple[tuple[str, str], ...]
) -> Figure | None:
    rows, left_out = shown_rows(comparison)
    style = looks(comparison)
    figure, grid = new_figure(4.9 * len(panels) if len(panels) > 1 else 7.4, 4.3, len(panels))
    lowest: list[float] = []
    for axes, (column, title) in zip(grid[0], panels, strict=True):
        for row in rows:
            found = over_seeds(row.runs.values(), comparison.curves, x, column)
            if found is None:
                continue
            xs, values = found
            look = style[row.label]
            lowest.append(100 * float(values.min()))
            line_with_band(
                axes, xs, 100 * values, color=look.colour, ls=look.dash, marker=look.marker,
                markevery=(0, max(1, len(xs) // 6)), label=look.label,
                zorder=4 if row.is_baseline else 3,
            )  # fmt: skip
        axes.set_title(title)
        axes.set_xlabel(axis)
        axes.margins(x=0.02)
        if x == "epoch":
            axes.xaxis.get_major_locator().set_params(integer=True)
        if comparison.target is not None and column == "val_accuracy":
            _mark_target(axes, comparison.target)
    if not lowest:
        return None
    grid[0][0].set_ylabel("accuracy (%)")
    grid[0][0].set_ylim(max(min(lowest), 0) - 2, 101.5)
    legend_above(figure, grid[0][-1])
    caption(figure, BAND + left_out)
    return figure


def _mark_target(axes: Any, target: float) -> None:
    axes.axhline(100 * target, color=MUTED, lw=0.9, ls=":", zorder=1)
    axes.annotate(
        f"target {percent(target)}", (0, 100 * target), xycoords=("axes fraction", "data"),
        xytext=(3, 2), textcoords="offset points", va="bottom", fontsize=8, color=MUTED,
    )  # fmt: skip


def convergence(comparison: Comparison) -> Figure | None:
    """Share of a group's runs that have reached the target, by epoch; None without a target."""
    rows, left_out = shown_rows(comparison)
    rows = [row for row in rows if row.epochs is not None and row.epochs.total]
    if comparison.target is None or not rows:
        return None
    style = looks(comparison)
    figure, grid = new_figure(7.4, 3.8)
    axes = grid[0][0]
    last = max(_trained(row) for row in rows)
    for index, row in enumerate(rows):
        assert row.epochs is not None
        times = sorted(time for time in row.epochs.times.values() if math.isfinite(time))
        total = row.epochs.total
        end = _trained(row)
        xs = np.array([0, *times, max([end, *times])])
        share = 100 * np.array([*range(len(times) + 1), len(times)]) / total
        # Lines that coincide at 0 and 100% are set slightly apart, or only the last would show.
        share = share + 0.55 * (index - (len(rows) - 1) / 2)
        look = style[row.label]
        axes.plot(
            xs, share, drawstyle="steps-post", color=look.colour, ls=look.dash, marker=look.marker,
            ms=5, label=f"{look.label}: {row.epochs.count}/{total} reached",
            zorder=4 if row.is_baseline else 3,
        )  # fmt: skip
    axes.set_title(f"Runs that have reached {percent(comparison.target)} validation accuracy")
    axes.set_xlabel("epoch")
    axes.set_ylabel("share of the group's runs (%)")
    axes.set_xlim(0, max(last, 1) * 1.02)
    axes.set_ylim(-5, 105)
    legend_above(figure, axes)
    caption(
        figure,
        "Each step is a run reaching the target; lines that meet are drawn slightly apart."
        + left_out,
    )
    return figure


def _trained(row: Row) -> float:
    """Epochs of the group's longest run."""
    return max(metric_of(run, "epochs") or 0.0 for run in row.runs.values())
