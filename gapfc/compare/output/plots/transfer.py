"""Pictures of transfer: the heat map of source head × protocol, and how far the features moved."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gapfc.compare.answer import Comparison
from gapfc.compare.fields import metric_of, number, part_of, value_of
from gapfc.compare.output.plots.look import (
    GRID,
    INK,
    ON_DARK,
    ON_LIGHT,
    Look,
    drawn_name,
    looks_of,
)
from gapfc.compare.output.plots.sheet import (
    MOST_LINES,
    Drawing,
    Sheet,
    band,
    legend_above,
    line_with_band,
    new_figure,
)
from gapfc.formatting import decimals
from gapfc.records.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 8  # more in one picture could not be printed on a page
# From what moves least to what moves most; protocols not named here follow by name.
PROTOCOLS = ("scratch", "linear_probe", "head_kept", "last_block", "lp_ft", "finetune")


def _rows(comparison: Comparison) -> str:
    """What the rows are: the source's head, unless it is the target's that was asked for."""
    alone = "head" in comparison.by and "source.head" not in comparison.by
    return "head" if alone else "source.head"


def _cells(comparison: Comparison) -> dict[tuple[str, str, str], list[Run]]:
    """Runs by panel, head and protocol: the panel is the target and all else in --by."""
    rows = _rows(comparison)
    beside = [key for key in comparison.by if key not in (rows, "protocol", "dataset")]
    cells: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    for row in comparison.rows:
        for run in row.runs.values():
            if isinstance(run.results.get("transfer"), Mapping):
                told = {key: value_of(run, key) for key in beside}
                panel = [value_of(run, "dataset")]
                panel += [f"{key.rpartition('.')[2]} {value}" for key, value in told.items()]
                protocol = value_of(run, "protocol")
                cells[", ".join(panel), value_of(run, rows), protocol].append(run)
    return cells


def _protocols(cells: Mapping[tuple[str, str, str], Any]) -> list[str]:
    found = {protocol for _, _, protocol in cells}
    known = [protocol for protocol in PROTOCOLS if protocol in found]
    return known + sorted(found - set(known))


def _in_order(names: Iterable[str]) -> list[str]:
    """By name, but numbers in it by size: 5 shots before 10."""
    return sorted(names, key=lambda name: [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)
    ])  # fmt: skip


def heat_map(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Mean of the metric by source head and protocol, one panel per target; None without transfer.

    Anything else in --by gets its own panels, so that a cell only pools seeds.
    """
    cells = _cells(comparison)
    if not cells:
        return None
    panels = _in_order({panel for panel, _, _ in cells})
    left_out = f" Shown: {MOST_PANELS} of {len(panels)}." if len(panels) > MOST_PANELS else ""
    panels = panels[:MOST_PANELS]
    heads, protocols = sorted({head for _, head, _ in cells}), _protocols(cells)
    metric, scale = comparison.measure, comparison.measure.scale
    height = (1.0 + 0.62 * len(heads)) * len(panels) + 0.6
    width = sheet.width if sheet.is_narrow else min(sheet.width, 2.2 + 1.25 * len(protocols))
    figure, grid = new_figure(width, height, 1, len(panels))
    tables = []
    for panel in panels:
        table = np.full((len(heads), len(protocols), 2), np.nan)
        for row, head in enumerate(heads):
            for column, protocol in enumerate(protocols):
                runs = cells.get((panel, head, protocol), [])
                seen = [scale * v for run in runs if (v := metric_of(run, metric.path)) is not None]
                if seen:
                    table[row, column, 0] = np.mean(seen)
                if len(seen) > 1:
                    table[row, column, 1] = np.std(seen, ddof=1)
        tables.append(table)
    means = np.concatenate([table[..., 0].ravel() for table in tables])
    if not np.isfinite(means).any():
        return None
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    spreads = np.concatenate([table[..., 1].ravel() for table in tables])
    spread = float(np.nanmedian(spreads)) if np.isfinite(spreads).any() else None
    places = decimals(spread, high, most=1 if metric.is_share else 3)
    image = None
    for axes, panel, table in zip(grid[:, 0], panels, tables, strict=True):
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
                told = f"{mean:.{places}f}" + (f"\n({sd:.{places}f})" if np.isfinite(sd) else "")
                axes.text(
                    column, row, told, ha="center", va="center", fontsize=9,
                    color=ON_LIGHT if light else ON_DARK,
                )  # fmt: skip
        names = [drawn_name(p.replace("_", " ")) for p in protocols]
        axes.set_xticks(
            range(len(protocols)),
            [name.replace(" ", "\n") for name in names] if sheet.is_narrow else names,
        )
        axes.set_yticks(range(len(heads)), map(drawn_name, heads))
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(f"Target: {drawn_name(panel)}")
        axes.set_ylabel(_rows(comparison).replace(".", " "))
    grid[-1][0].set_xlabel("protocol")
    assert image is not None
    if not sheet.is_narrow:
        bar = figure.colorbar(image, ax=list(grid[:, 0]), shrink=0.9, aspect=6 * height)
        bar.set_label(metric.axis)
        bar.outline.set_visible(False)
    return Drawing(
        figure,
        f"{metric.axis} by source and protocol: {metric.direction}",
        f"Mean (standard deviation) over seeds.{left_out}",
    )


def drift(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """CKA by stage and relative weight change by layer, one row per protocol that trains features.

    None when no run recorded either.
    """
    cells = _cells(comparison)
    several = len({panel for panel, _, _ in cells}) > 1
    moved: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    heads: dict[str, str | None] = {}
    for (panel, head, protocol), runs in cells.items():
        for run in runs:
            if part_of(run.results, "transfer", "cka") or part_of(run.results, "transfer", "drift"):
                line = f"{head} → {panel}" if several else head
                moved[protocol][line].append(run)
                heads[line] = head
    protocols = [protocol for protocol in _protocols(cells) if protocol in moved]
    if not protocols:
        return None
    lines = _in_order({line for groups in moved.values() for line in groups})
    left_out = f" Shown: {MOST_LINES} of {len(lines)} lines." if len(lines) > MOST_LINES else ""
    lines, style = lines[:MOST_LINES], looks_of(heads)
    confidence = comparison.question.confidence
    height = (1.7 if sheet.is_narrow else 2.0) * len(protocols) + 1.0
    figure, grid = new_figure(sheet.width, height, 2, len(protocols), share="x")
    for column, (what, along) in enumerate((("cka", "stage"), ("drift", "layer"))):
        names = list(
            dict.fromkeys(
                name
                for groups in moved.values()
                for runs in groups.values()
                for run in runs
                for name in part_of(run.results, "transfer", what)
            )
        )
        for row, protocol in enumerate(protocols):
            axes = grid[row][column]
            for line in lines:
                runs = moved[protocol].get(line, [])
                _line(axes, runs, what, names, style[line], confidence)
            axes.set_title(drawn_name(protocol.replace("_", " ")))
        few = max(1, -(-len(names) // (6 if sheet.is_narrow else 12)))
        axes = grid[-1][column]
        axes.set_xticks(
            range(0, len(names), few), _short(names)[::few], rotation=45, ha="right",
            rotation_mode="anchor", fontsize=8,
        )  # fmt: skip
        axes.set_xlabel(along)
    for above, below in grid:
        above.axhline(1, color=GRID, lw=1.2, zorder=1)
        above.set_ylabel("linear CKA", fontsize=9)
        below.set_ylabel("relative change", fontsize=9)
    legend_above(figure, grid[0][0])
    begun = " scratch: before is the random first weights." if "scratch" in protocols else ""
    return Drawing(
        figure,
        "How far the features moved",
        "Left: linear CKA of features on the target's images before and after training (1: "
        "unchanged). Right: relative change of weights, ‖after − before‖ / ‖before‖. Both: from "
        f"the image to the head. {band(confidence)}{begun}{left_out}",
    )


def _line(
    axes: Axes, runs: Sequence[Run], what: str, names: Sequence[str], look: Look, confidence: float
) -> None:
    found = [tree for run in runs if (tree := part_of(run.results, "transfer", what))]
    if not found:
        return
    values = np.array([[number(v.get(name)) for name in names] for v in found], float)
    within = (0.0, 1.0) if what == "cka" else (0.0, np.inf)
    line_with_band(axes, np.arange(len(names)), values.T, confidence, within, **look.line)


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
    return [drawn_name(".".join(p)) for p in parts]
