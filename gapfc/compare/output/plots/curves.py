"""Pictures over training: accuracy by epoch and by second, share of runs at the target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gapfc.compare.answer import Comparison
from gapfc.compare.curves import over_seeds
from gapfc.compare.fields import metric_of, value_of
from gapfc.compare.output.plots.look import MUTED, looks
from gapfc.compare.output.plots.sheet import (
    Drawing,
    Sheet,
    band,
    legend_above,
    line_with_band,
    name_left,
    panels,
    shown_rows,
)
from gapfc.compare.row import Row
from gapfc.formatting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning_curves(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Training and validation accuracy by epoch; None when no run has a metrics.csv."""
    return _against(
        comparison, sheet, "epoch", "epoch", "Accuracy by epoch",
        {"train_accuracy": "Training (augmented, in train mode)", "val_accuracy": "Validation"},
    )  # fmt: skip


def accuracy_over_seconds(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Validation accuracy by seconds of training, without evaluation and start-up."""
    devices = ", ".join(
        sorted({value_of(run, "device") for row in comparison.rows for run in row.runs.values()})
    )
    return _against(
        comparison, sheet, "seconds", f"training (s, on {devices})",
        "Validation accuracy by time of training, without evaluation", {"val_accuracy": ""},
    )  # fmt: skip


def _against(
    comparison: Comparison, sheet: Sheet, x: str, axis: str, title: str, columns: dict[str, str]
) -> Drawing | None:
    """columns: of metrics.csv, with the title of each one's panel."""
    rows, left_out = shown_rows(comparison)
    style, confidence = looks(comparison), comparison.question.confidence
    height = 3.5 if len(columns) == 1 or not sheet.is_narrow else 2.7
    figure, grid = panels(sheet, len(columns), height)
    lowest: list[float] = []
    for axes, (column, panel) in zip(grid, columns.items(), strict=True):
        for row in rows:
            found = over_seeds(row.runs.values(), comparison.curves, x, column)
            if found is None:
                continue
            xs, values = found
            lowest.append(100 * float(values.mean(axis=0).min()))
            line_with_band(
                axes, xs, 100 * values.T, confidence, (0, 100), **style[row.label].line,
                markevery=(0, max(1, len(xs) // 6)), zorder=4 if row.is_baseline else 3,
            )  # fmt: skip
        axes.set_title(panel)
        axes.set_xlabel(axis)
        axes.margins(x=0.02)
        if x == "epoch":
            axes.xaxis.get_major_locator().set_params(integer=True)
        if comparison.target is not None and column == "val_accuracy":
            _mark_target(axes, comparison.target)
    if not lowest:
        return None
    for axes in grid:
        axes.set_ylim(max(min(lowest), 0) - 4, 101.5)
    name_left(grid, sheet, "accuracy (%)")
    legend_above(figure, grid[-1])
    told = band(confidence)
    if comparison.target is not None:
        told += f" Dotted: the target of {percent(comparison.target)}."
    return Drawing(figure, title, told + left_out)


def _mark_target(axes: Axes, target: float) -> None:
    axes.axhline(100 * target, color=MUTED, lw=0.9, ls=":", zorder=1)
    axes.annotate(
        "target", (1, 100 * target), xycoords=("axes fraction", "data"), xytext=(4, 0),
        textcoords="offset points", va="center", fontsize=8, color=MUTED, annotation_clip=False,
    )  # fmt: skip


def convergence(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Share of a group's runs that have reached the target, by epoch; None without a target."""
    rows, left_out = shown_rows(comparison)
    rows = [row for row in rows if row.epochs is not None and row.epochs.total]
    if comparison.target is None or not rows:
        return None
    style = looks(comparison)
    figure, (axes,) = panels(sheet, 1, 3.2)
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
            xs, share, drawstyle="steps-post", ms=5, zorder=4 if row.is_baseline else 3,
            **look.line | {"label": f"{look.label}: {row.epochs.count}/{total} reached"},
        )  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel("share of the group's runs (%)")
    axes.set_xlim(0, max(last, 1) * 1.02)
    axes.set_ylim(-5, 105)
    legend_above(figure, axes)
    return Drawing(
        figure,
        f"Runs that have reached {percent(comparison.target)} validation accuracy",
        "Each step is a run reaching the target; lines that meet are drawn slightly apart."
        + left_out,
    )


def _trained(row: Row) -> float:
    """Epochs of the group's longest run."""
    return max(metric_of(run, "epochs") or 0.0 for run in row.runs.values())
