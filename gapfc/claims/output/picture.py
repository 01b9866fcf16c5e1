"""The picture of a claim: its interval beside the margin, and the controls below it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from gapfc.claims.carry_out import Answer, Tested
from gapfc.claims.claim import Contrast
from gapfc.claims.output.words import effect, margin, shown
from gapfc.claims.verdict import CONFIDENCE
from gapfc.compare.output.plots import Picture, svg
from gapfc.compare.output.plots.style import (
    COLOURS,
    GRID,
    INK,
    MUTED,
    PAPER,
    caption,
    drawn_name,
    new_figure,
    styled,
)
from gapfc.formatting import percent, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def picture(tested: Tested) -> Picture | None:
    """As SVG; None where nothing could be estimated."""
    with styled():
        figure = _figure(tested)
        if figure is None:
            return None
        # Part of the ids on the page; two claims may have one number.
        name = re.sub(r"\W+", "-", f"claim-{tested.claim.name}-{tested.variant}")
        return Picture(name, printable(tested.claim.sentence), svg(figure, name), None)


def _figure(tested: Tested) -> Figure | None:
    unit = tested.answers[0].contrast.unit
    rows = [a for a in tested.answers if a.contrast.unit == unit and shown(a) is not None]
    if not rows:
        return None
    figure, grid = new_figure(8.6, 1.5 + 0.42 * max(2, len(rows)))
    axes = grid[0][0]
    factor = unit == "factor"
    none = 1.0 if factor else 0.0
    fixed = tested.claim.margin
    ends = (1 / fixed, fixed) if factor else (-fixed, fixed)
    if tested.answers[0].contrast.says == "kept":
        ends = (ends[0], none)
    axes.axvspan(*ends, color=GRID, alpha=0.6, lw=0, zorder=0)
    axes.axvline(none, color=INK, lw=1.2, ls=(0, (4, 2)), zorder=2)
    _claimed_side(axes, tested.answers[0].contrast)
    if factor:
        axes.set_xscale("log")
    for index, answer in enumerate(rows):
        _row(axes, index, answer)
    axes.set_yticks(range(len(rows)), [drawn_name(answer.contrast.name) for answer in rows])
    for tick, answer in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if answer.primary else "normal")
    axes.set_ylim(len(rows) - 0.45, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if factor:
        _plain_ticks(axes, [end for answer in rows for end in shown(answer) or ()] + list(ends))
    first = rows[0].contrast
    of, against = drawn_name(first.of), drawn_name(first.against)
    both = f"{of} − {against}" if of != against else f"{of}: change"
    axes.set_xlabel(
        f"{of} / {against}, as a factor (controls: as named)"
        if factor
        else f"{both}, in points (controls: as named)"
    )
    caption(
        figure,
        f"Bold: what decides; the others are controls. Bar: {percent(CONFIDENCE)} interval. Grey: "
        f"the margin of {margin(tested.claim)}, fixed beforehand.",
    )
    return figure


def _claimed_side(axes: Axes, contrast: Contrast) -> None:
    """Which way what decides would lie if the claim were true."""
    lower = contrast.says == "lower"
    axes.annotate(
        "← as claimed" if lower else "as claimed →", (0 if lower else 1, 1.01),
        xycoords="axes fraction", ha="left" if lower else "right", va="bottom", fontsize=8.5,
        color=MUTED,
    )  # fmt: skip


def _row(axes: Axes, index: int, answer: Answer) -> None:
    found = shown(answer)
    assert found is not None
    value, low, high = found
    colour = COLOURS[0] if answer.primary else MUTED
    axes.hlines(index, low, high, color=colour, lw=2.6 if answer.primary else 1.8, zorder=3)
    axes.plot(
        value, index, "o", color=colour, ms=7 if answer.primary else 5.5, zorder=4,
        mfc=colour if low != high or answer.measured.exact else PAPER,
    )  # fmt: skip
    axes.annotate(
        effect(answer), (1.02, index), xycoords=("axes fraction", "data"), va="center",
        fontsize=8.5, annotation_clip=False,
    )  # fmt: skip


def _plain_ticks(axes: Axes, values: list[float]) -> None:
    """1/10, 1, 10 … instead of powers of ten."""
    low, high = math.log10(min(values)), math.log10(max(values))
    if high - low < 1:
        ticks = [0.25, 0.5, 0.7, 1, 1.4, 2, 4]
    else:
        ticks = [10.0**n for n in range(math.floor(low), math.ceil(high) + 1)]
    kept = [tick for tick in ticks if 10**low * 0.8 <= tick <= 10**high * 1.25]
    told = [f"{tick:,.4g}" if tick >= 1 else f"1/{1 / tick:,.4g}" for tick in kept]
    axes.set_xticks(kept, told)
    axes.minorticks_off()
