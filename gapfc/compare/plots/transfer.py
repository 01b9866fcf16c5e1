"""Pictures of transfer: the heat map of source head × protocol, and how far the features moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gapfc.compare.collect import Run
from gapfc.compare.comparison import Comparison
from gapfc.compare.fields import metric_of, value_of
from gapfc.compare.measures import decimals
from gapfc.compare.plots.style import (
    COLOURS,
    DASHES,
    GRID,
    INK,
    MARKERS,
    caption,
    legend_above,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From what moves least to what moves most; protocols not named here follow by name.
# The cells keep their colours on a dark page, so their text must too: not INK, not PAPER.
ON_LIGHT, ON_DARK = "#101010", "#fefefe"
PROTOCOLS = ("scratch", "linear_probe", "head_kept", "last_block", "lp_ft", "finetune")


def _cells(comparison: Comparison) -> dict[tuple[str, str, str], list[Run]]:
    """Runs by target, source head and protocol."""
    cells: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    for row in comparison.rows:
        for run in row.runs.values():
            if isinstance(run.results.get("transfer"), Mapping):
                target, head = value_of(run, "dataset"), value_of(run, "source.head")
                cells[target, head, value_of(run, "protocol")].append(run)
    return cells


def _protocols(cells: Mapping[tuple[str, str, str], Any]) -> list[str]:
    found = {protocol for _, _, protocol in cells}
    known = [protocol for protocol in PROTOCOLS if protocol in found]
    return known + sorted(found - set(known))


def heat_map(comparison: Comparison) -> Figure | None:
    """Mean of the metric by source head and protocol, a panel a target; None without transfer."""
    cells = _cells(comparison)
    if not cells:
        return None
    targets = sorted({target for target, _, _ in cells})
    heads, protocols = sorted({head for _, head, _ in cells}), _protocols(cells)
    metric, scale = comparison.measure, comparison.measure.scale
    width = max(5.0, 2.2 + 1.25 * len(protocols)) * len(targets)
    figure, grid = new_figure(width, 1.9 + 0.62 * len(heads), len(targets))
    tables = []
    for target in targets:
        table = np.full((len(heads), len(protocols), 2), np.nan)
        for row, head in enumerate(heads):
            for column, protocol in enumerate(protocols):
                runs = cells.get((target, head, protocol), [])
                seen = [scale * v for run in runs if (v := metric_of(run, metric.path)) is not None]
                if seen:
                    table[row, column, 0] = np.mean(seen)
                if len(seen) > 1:
                    table[row, column, 1] = np.std(seen, ddof=1)
        tables.append(table)
    means = np.concatenate([table[..., 0].ravel() for table in tables])
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    spreads = np.concatenate([table[..., 1].ravel() for table in tables])
    spread = float(np.nanmedian(spreads)) if np.isfinite(spreads).any() else None
    places = decimals(spread, high, most=1 if scale == 100 else 3)
    image = None
    for axes, target, table in zip(grid[0], targets, tables, strict=True):
        image = axes.imshow(
            table[..., 0], cmap="cividis" if metric.better > 0 else "cividis_r", vmin=low,
            vmax=high if high > low else low + 1, aspect="auto",
        )  # fmt: skip
        for row in range(len(heads)):
            for column in range(len(protocols)):
                mean, sd = table[row, column]
                if np.isnan(mean):
                    axes.text(column, row, "–", ha="center", va="center", color=INK)
                    continue
                share = (mean - low) / (high - low) if high > low else 0.0
                light = share > 0.55 if metric.better > 0 else share < 0.45
                told = f"{mean:.{places}f}" + (f"\n± {sd:.{places}f}" if np.isfinite(sd) else "")
                axes.text(
                    column, row, told, ha="center", va="center", fontsize=9,
                    color=ON_LIGHT if light else ON_DARK,
                )  # fmt: skip
        axes.set_xticks(range(len(protocols)), [p.replace("_", " ") for p in protocols])
        axes.set_yticks(range(len(heads)), heads)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(f"Target: {target}")
        axes.set_xlabel("protocol")
    grid[0][0].set_ylabel("source head")
    assert image is not None
    bar = figure.colorbar(image, ax=list(grid[0]), shrink=0.9, aspect=25 if len(heads) > 4 else 15)
    bar.set_label(metric.axis)
    bar.outline.set_visible(False)  # type: ignore[operator]
    caption(figure, f"Mean ± standard deviation over seeds ({metric.direction}).")
    return figure


def drift(comparison: Comparison) -> Figure | None:
    """CKA by stage and relative weight change by layer, a column a protocol that trains features.

    None when no run recorded either.
    """
    moved: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    cells = _cells(comparison)
    for (target, head, protocol), runs in cells.items():
        several = len({name for name, _, _ in cells}) > 1
        for run in runs:
            if run.results["transfer"].get("cka") or run.results["transfer"].get("drift"):
                moved[protocol][f"{head} → {target}" if several else head].append(run)
    protocols = [protocol for protocol in _protocols(cells) if protocol in moved]
    if not protocols:
        return None
    lines = sorted({line for groups in moved.values() for line in groups})
    figure, grid = new_figure(max(6.0, 3.6 * len(protocols)), 6.6, len(protocols), 2)
    for column, protocol in enumerate(protocols):
        for row, what in enumerate(("cka", "drift")):
            axes = grid[row][column]
            axes.tick_params(labelleft=True)
            names: list[str] = []
            for index, line in enumerate(lines):
                found = [
                    run.results["transfer"].get(what) or {} for run in moved[protocol].get(line, [])
                ]
                found = [values for values in found if values]
                if not found:
                    continue
                names = list(found[0])
                values = np.array([[v.get(name, np.nan) for name in names] for v in found], float)
                xs = np.arange(len(names))
                colour = COLOURS[index % len(COLOURS)]
                axes.plot(
                    xs, values.mean(axis=0), color=colour, marker=MARKERS[index % len(MARKERS)],
                    ls=DASHES[(index // len(COLOURS)) % len(DASHES)], ms=5, label=line,
                )  # fmt: skip
                if len(values) > 1:
                    low, high = values.min(axis=0), values.max(axis=0)
                    axes.fill_between(xs, low, high, color=colour, alpha=0.13, lw=0)
            few = max(1, -(-len(names) // 9))
            axes.set_xticks(
                range(0, len(names), few), _short(names)[::few], rotation=45, ha="right",
                rotation_mode="anchor", fontsize=8,
            )  # fmt: skip
            if row == 0:
                axes.set_title(protocol.replace("_", " "))
            axes.set_xlabel(("stage", "layer")[row] + ", from the image to the head")
    grid[0][0].set_ylabel("linear CKA, before and after\n(1: features unchanged)")
    grid[1][0].set_ylabel("relative weight change\n‖after − before‖ / ‖before‖")
    for axes in grid[0]:
        axes.axhline(1, color=GRID, lw=1.2)
    legend_above(figure, grid[0][0])
    caption(figure, "Line: mean over seeds. Band: from the lowest to the highest seed.")
    return figure


def _short(names: list[str]) -> list[str]:
    """Layer names without the beginning and the ending that all share: `stages.0`, not `0`."""
    parts = [name.split(".") for name in names]
    while (
        len(parts) > 1
        and all(len(p) > 1 and not p[1][0].isdigit() for p in parts)
        and len({p[0] for p in parts}) == 1
    ):
        parts = [p[1:] for p in parts]
    while len(parts) > 1 and all(len(p) > 1 for p in parts) and len({p[-1] for p in parts}) == 1:
        parts = [p[:-1] for p in parts]
    return [".".join(p) for p in parts]
