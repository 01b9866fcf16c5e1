"""The picture of a claim: its interval beside the margin, and the controls below it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from gapfc.claims.carry_out import Answer, Tested
from gapfc.claims.claim import Claim, Contrast
from gapfc.claims.output.words import effect, margin, shown
from gapfc.claims.verdict import CONFIDENCE
from gapfc.compare.output.plots import Picture, svg
from gapfc.compare.output.plots.forest import beside, forest
from gapfc.compare.output.plots.look import GRID, INK, MUTED, PAPER, Look, drawn_name, looks_of
from gapfc.compare.output.plots.sheet import NARROW, WIDE, Drawing, Sheet, styled
from gapfc.formatting import percent, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def picture(tested: Tested) -> Picture | None:
    """For a page; None where nothing could be estimated."""
    with styled():
        wide, narrow = _drawing(tested, WIDE), _drawing(tested, NARROW)
        if wide is None or narrow is None:
            return None
        # Part of the ids on the page; two claims may have one number.
        name = re.sub(r"\W+", "-", f"claim-{tested.claim.name}-{tested.variant}")
        return Picture(
            name, "", wide.title, wide.caption, svg(wide.figure, name),
            svg(narrow.figure, f"{name}-narrow"),
        )  # fmt: skip


def _drawing(tested: Tested, sheet: Sheet) -> Drawing | None:
    unit = tested.answers[0].contrast.unit
    rows = [a for a in tested.answers if a.contrast.unit == unit and shown(a) is not None]
    if not rows:
        return None
    figure, axes = forest(sheet, [drawn_name(answer.contrast.name) for answer in rows])
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
    looks = _looks(tested.claim)
    for index, answer in enumerate(rows):
        _row(axes, sheet, index, answer, looks[answer.contrast.of])
    names = axes.get_yticklabels() if not sheet.is_narrow else axes.texts
    for tick, answer in zip(names, rows, strict=False):
        tick.set_fontweight("bold" if answer.primary else "normal")
    if factor:
        _plain_ticks(axes, [end for answer in rows for end in shown(answer) or ()] + list(ends))
    first = rows[0].contrast
    of, against = drawn_name(first.of), drawn_name(first.against)
    both = f"{of} − {against}" if of != against else f"{of}: change"
    axes.set_xlabel(f"{of} / {against}, as a factor" if factor else f"{both}, in points")
    return Drawing(
        figure,
        printable(tested.claim.sentence),
        f"Bold: what decides; the others are controls, of what their names say. Bar: "
        f"{percent(CONFIDENCE)} interval, over what the table says. Grey: the margin of "
        f"{margin(tested.claim)}, fixed beforehand.",
    )


def _looks(claim: Claim) -> dict[str, Look]:
    """By arm: that of its head."""
    heads = {name: arm.settings.get("head") for name, arm in claim.arms.items()}
    return looks_of({n: h if isinstance(h, str) else None for n, h in heads.items()})


def _claimed_side(axes: Axes, contrast: Contrast) -> None:
    """Which way what decides would lie if the claim were true."""
    lower = contrast.says == "lower"
    axes.annotate(
        "← as claimed" if lower else "as claimed →", (0 if lower else 1, 1.01),
        xycoords="axes fraction", ha="left" if lower else "right", va="bottom", fontsize=8.5,
        color=MUTED,
    )  # fmt: skip


def _row(axes: Axes, sheet: Sheet, index: int, answer: Answer, look: Look) -> None:
    found = shown(answer)
    assert found is not None
    value, low, high = found
    axes.hlines(index, low, high, color=look.colour, lw=2.6 if answer.primary else 1.4, zorder=3)
    axes.plot(
        value, index, look.marker, color=look.colour, ms=8 if answer.primary else 5.5, zorder=4,
        mfc=look.face if low != high or answer.measured.exact else PAPER,
    )  # fmt: skip
    beside(axes, sheet, index, effect(answer))


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
