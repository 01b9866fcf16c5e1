"""Pictures by class: recall, confusion matrices, and the pairs that are confused most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gapfc.compare.answer import Comparison
from gapfc.compare.classes import Classes
from gapfc.compare.estimate import Array
from gapfc.compare.output.plots.look import GRID, ON_DARK, ON_LIGHT, looks
from gapfc.compare.output.plots.sheet import Drawing, Sheet, legend_above, panels, shown_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 20  # more are not shown one by one
MOST_NUMBERS = 12  # more cells in a row are too small for numbers
MOST_ROWS = 15


def recall(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """Recall of each class, a marker for each group; None where no run has predictions.

    Of many classes, those that the groups differ most in.
    """
    found, left_out = _found(comparison)
    if found is None:
        return None
    means = {label: 100 * found.recall(label) for label in found.shares}
    every = np.array(list(means.values()))
    chosen = np.arange(len(found.names))
    title, told = "Recall of each class", "Marker: mean over seeds."
    if len(chosen) > MOST_CLASSES:
        spread = every.max(axis=0) - every.min(axis=0)
        if len(every) == 1:
            spread = -every[0]
        chosen = np.argsort(-spread, kind="stable")[:MOST_ROWS]
        which = "that the groups differ most in" if len(every) > 1 else "of the lowest recall"
        title = f"Recall of the {len(chosen)} classes {which}, of {len(found.names)}"
    shown = {label: values[chosen] for label, values in means.items()}
    names = [found.names[index] for index in chosen]
    axis = "recall (% of the class's test images)"
    return _dots(comparison, sheet, names, shown, axis, title, told + left_out)


def confused(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """The pairs of classes that are confused most, of so many classes that no matrix is drawn."""
    found, left_out = _found(comparison)
    if found is None or len(found.names) <= MOST_CLASSES:
        return None
    means = {label: 100 * found.shares[label] for label in found.shares}
    overall = np.mean(list(means.values()), axis=0)
    np.fill_diagonal(overall, 0)
    most = np.argsort(-overall, axis=None, kind="stable")[:MOST_ROWS]
    pairs = [
        tuple(map(int, np.unravel_index(place, overall.shape)))
        for place in most
        if overall.flat[place] > 0
    ]
    if not pairs:
        return None
    names = [f"{found.names[true]} → {found.names[taken]}" for true, taken in pairs]
    shown = {label: np.array([mean[pair] for pair in pairs]) for label, mean in means.items()}
    return _dots(
        comparison, sheet, names, shown, "share of the class's test images (%)",
        f"The {len(pairs)} pairs that are confused most, of {len(found.names)} classes",
        f"True class → class seen, by the mean over all groups. Marker: mean over seeds.{left_out}",
    )  # fmt: skip


def confusion(comparison: Comparison, sheet: Sheet) -> Drawing | None:
    """A matrix for each group; None where no run has predictions, or for too many classes."""
    found, left_out = _found(comparison)
    if found is None or len(found.names) > MOST_CLASSES:
        return None
    style, size = looks(comparison), len(found.names)
    figure, grid = panels(sheet, len(found.shares), 3.9)
    for axes, label in zip(grid, found.shares, strict=True):
        _matrix(axes, 100 * found.shares[label], found.names, size <= MOST_NUMBERS)
        axes.set_title(style[label].label)
    told = "Each row: the test images of one true class, in percent"
    told += (
        ", mean over seeds. Empty: below 0.5%." if size <= MOST_NUMBERS else ", mean over seeds."
    )
    return Drawing(figure, "Which class is taken for which", told + left_out)


def _found(comparison: Comparison) -> tuple[Classes | None, str]:
    """The classes, of the groups that one picture can hold; and words for those left out."""
    rows, left_out = shown_rows(comparison)
    found = comparison.classes
    if found is None:
        return None, ""
    shares = {r.label: found.shares[r.label] for r in rows if r.label in found.shares}
    return (Classes(found.names, shares) if shares else None), left_out


def _matrix(axes: Axes, shares: Array, names: Sequence[str], numbers: bool) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    turned = max(map(len, names)) > 2
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=90 if turned else 0)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("class seen")
    axes.set_ylabel("true class")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row, column in np.argwhere(shares >= 0.5) if numbers else ():
        axes.text(
            column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=7,
            color=ON_DARK if shares[row, column] > 55 else ON_LIGHT,
        )  # fmt: skip


def _dots(
    comparison: Comparison, sheet: Sheet, names: Sequence[str], values: Mapping[str, Array],
    axis: str, title: str, told: str,
) -> Drawing:  # fmt: skip
    """values: by label, one for each name, in percent."""
    style = looks(comparison)
    figure, (axes,) = panels(sheet, 1, 0.6 + 0.27 * max(3, len(names)))
    places = np.arange(len(names))
    every = np.array(list(values.values()))
    axes.hlines(places, every.min(axis=0), every.max(axis=0), color=GRID, lw=4, zorder=1)
    for index, (label, at) in enumerate(values.items()):
        look = style[label]
        # Equal values are set slightly apart, or only the last would show.
        aside = 0.5 * (index / max(1, len(values) - 1) - 0.5) if len(values) > 1 else 0.0
        axes.plot(
            at, places + aside, look.marker, color=look.colour, mfc=look.face, ms=6,
            label=look.label, zorder=3,
        )  # fmt: skip
    axes.set_yticks(places, names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(axis)
    legend_above(figure, axes)
    return Drawing(figure, title, told)
