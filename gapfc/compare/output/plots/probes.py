"""Pictures of what probes measured: accuracy over shift, size and severity; calibration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gapfc.compare.answer import Comparison
from gapfc.compare.fields import number, part_of
from gapfc.compare.output.plots.look import MUTED, Look, drawn_name, looks
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
from gapfc.compare.probe_curves import (
    MOST_POINTS,
    Curve,
    clean_accuracy,
    curve,
    over_runs,
    probe,
    share,
)
from gapfc.formatting import listed
from gapfc.records.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 12
SHIFTS = {"zero": "Shifted, with black moving in", "circular": "Shifted, wrapped around"}
SIZES = {"native": "Seen at that size", "resized_back": "Resized back to training size"}


def shift(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Accuracy over the shift in pixels, zeros and circular; None where none was measured."""
    curves = _by_panel(comparison, "shift", SHIFTS)
    return _over(
        comparison, sheet, curves, SHIFTS, "shift (pixels)", "Accuracy when images are shifted"
    )


def size(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Accuracy over the size of images, native and resized back; None where none was measured."""

    def seen(run: Run, way: str) -> Curve:
        sizes = probe(run, "size")
        return curve({name: part_of(sizes, name, way) for name in sizes})

    curves = {
        way: {row.label: [seen(run, way) for run in row.runs.values()] for row in comparison.rows}
        for way in SIZES
    }
    axis = "side of the image / side in training"
    return _over(comparison, sheet, curves, SIZES, axis, "Accuracy at other image sizes")


def corruption(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Accuracy over severity, a panel for each corruption; None where none was measured."""
    runs = [run for row in comparison.rows for run in row.runs.values()]
    names = dict.fromkeys(name for run in runs for name in probe(run, "corruption"))
    titles = {name: drawn_name(name).capitalize() for name in names}
    curves = _by_panel(comparison, "corruption", titles)
    return _over(comparison, sheet, curves, titles, "severity", "Accuracy on corrupted images")


def reliability(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Accuracy over confidence, a panel for each group; None where none was measured."""
    rows, left_out = shown_rows(comparison)
    bins = {row.label: found for row in rows if (found := _bins(row.runs.values()))}
    if not bins:
        return None
    figure, grid = panels(sheet, min(len(bins), MOST_PANELS))
    style = looks(comparison)
    for axes, (label, found) in zip(grid, bins.items(), strict=False):
        look = style[label]
        confidence, accuracy, share = np.array(found).T
        axes.plot([0, 100], [0, 100], color=MUTED, lw=0.9, ls=":", zorder=1)
        axes.vlines(100 * confidence, 100 * confidence, 100 * accuracy, color=look.colour, lw=1)
        axes.plot(100 * confidence, 100 * accuracy, color=look.colour, lw=1, ls=look.dash, zorder=3)
        axes.scatter(
            100 * confidence, 100 * accuracy, s=14 + 120 * share, color=look.colour,
            marker=look.marker, facecolor=look.face, zorder=4,
        )  # fmt: skip
        axes.set_title(look.label)
        axes.set_xlim(-3, 103)
        axes.set_ylim(-3, 103)
        axes.set_xlabel("confidence (%)")
    name_left(grid, sheet, "accuracy (%)")
    return Drawing(
        figure,
        "Accuracy by confidence: how well calibrated",
        "A marker for each bin of confidence, the larger the more test images, over all seeds. "
        "Below the dotted line: more confident than right." + left_out,
    )


def _over(
    comparison: Comparison,
    sheet: Sheet,
    curves: Mapping[str, Mapping[str, Sequence[Curve]]],
    titles: Mapping[str, str],
    axis: str,
    title: str,
) -> Drawing | None:
    """Accuracy over `axis`; curves: by panel and row. titles: of the panels."""
    rows, left_out = shown_rows(comparison)
    shown = [key for key, by_row in curves.items() if any(any(by_row[row.label]) for row in rows)]
    shown = shown[:MOST_PANELS]
    if not shown:
        return None
    figure, grid = panels(sheet, len(shown))
    style, confidence = looks(comparison), comparison.question.confidence
    lowest = 100.0
    for axes, key in zip(grid, shown, strict=True):
        for row in rows:
            least = _line(
                axes, curves[key][row.label], confidence, style[row.label],
                4 if row.is_baseline else 3,
            )  # fmt: skip
            lowest = min(lowest, least)
        axes.set_title(titles[key])
        axes.set_xlabel(axis)
        _ticks(axes, {x for by_row in curves[key].values() for each in by_row for x in each})
    for axes in grid:
        axes.set_ylim(max(lowest, 0) - 4, 101.5)
    name_left(grid, sheet, "accuracy (%)")
    legend_above(figure, max(grid, key=lambda axes: len(axes.lines)))
    absent = {
        titles[key]: [drawn_name(row.label) for row in rows if not any(curves[key][row.label])]
        for key in shown
    }
    without = [
        f" {panel}: not measured of {listed(names)}." for panel, names in absent.items() if names
    ]
    told = band(confidence)
    drawn = (each for key in shown for by_run in curves[key].values() for each in by_run)
    if any(0 in each for each in drawn):
        told += " At 0: unchanged images."
    return Drawing(figure, title, told + "".join(without) + left_out)


def _line(axes: Axes, curves: Sequence[Curve], confidence: float, look: Look, zorder: int) -> float:
    """Draw the mean over `curves` and its interval; the lowest mean, in %, or 100 without any."""
    at = {x: [100 * accuracy for accuracy in each] for x, each in over_runs(curves).items()}
    if not at:
        return 100.0
    values = list(at.values())
    line_with_band(axes, list(at), values, confidence, (0, 100), zorder=zorder, **look.line)
    return min(sum(each) / len(each) for each in values)


def _by_panel(
    comparison: Comparison, name: str, panels: Iterable[str]
) -> dict[str, dict[str, list[Curve]]]:
    """Curves of `probe.<name>.<panel>.<x>.accuracy` by panel and row."""
    return {
        panel: {
            row.label: [
                curve(probe(run, name, panel), clean_accuracy(run)) for run in row.runs.values()
            ]
            for row in comparison.rows
        }
        for panel in panels
    }


def _bins(runs: Iterable[Run]) -> list[tuple[float, float, float]]:
    """Confidence, accuracy and share of images of each bin, over all runs."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for run in runs:
        bins = probe(run, "calibration").get("reliability")
        for index, each in enumerate(bins[:MOST_POINTS] if isinstance(bins, list) else ()):
            confidence, accuracy = (share(part_of(each).get(k)) for k in ("confidence", "accuracy"))
            count = number(part_of(each).get("count")) or 0.0
            if confidence is not None and accuracy is not None and count > 0:
                weighted = (count * confidence, count * accuracy, count)
                sums[index] = [s + w for s, w in zip(sums[index], weighted, strict=True)]
    total = sum(count for _, _, count in sums.values())
    return [(c / n, a / n, n / total) for _, (c, a, n) in sorted(sums.items())]


def _ticks(axes: Axes, xs: Iterable[float]) -> None:
    """A tick at each measured value, but for those too close to the next to be named."""
    ordered = sorted(xs)
    kept: list[float] = []
    for x in reversed(ordered):
        if not kept or kept[-1] - x >= (ordered[-1] - ordered[0]) / 14:
            kept.append(x)
    axes.set_xticks(kept, [f"{x:g}" for x in kept])
