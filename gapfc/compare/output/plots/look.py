"""How each group is drawn: one colour and one marker for each head, in every picture.

The heads of gapfc have theirs whatever else is in the picture and whichever is the baseline. Heads
of one's own draw from colours that no shipped head has, by their name. Groups that no head tells
apart (learning rates) take the whole palette in turn.

Colours are Okabe and Ito's ("Color Universal Design", 2008) without yellow, which vanishes on
white, then some of Paul Tol's muted ones: the colour-blind tell them apart. No two groups differ by
colour alone: each has a marker and, in lines, a dash as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from gapfc.compare.answer import Comparison
from gapfc.compare.row import Row
from gapfc.formatting import printable

INK = "#1f2328"
MUTED = "#6e7781"
GRID = "#d8dee4"
PAPER = "#ffffff"
# Words in the cells of a matrix, which keeps its colours on a dark page: not INK, not PAPER.
ON_LIGHT, ON_DARK = "#101010", "#fefefe"
# On paper: on a dark page.
COLOURS = {
    "#0072b2": "#4aa8e0",  # blue
    "#d55e00": "#f0803c",  # vermilion
    "#009e73": "#2fc49a",  # green
    "#cc79a7": "#e3a0c4",  # pink
    "#e69f00": "#f0b429",  # orange
    "#56b4e9": "#a5dcff",  # sky
    "#882255": "#d66b95",  # wine
    "#999933": "#c2c25a",  # olive
    "#332288": "#9d8ff0",  # indigo
    "#44aa99": "#6fd0be",  # teal
    "#7a4b24": "#c59a6f",  # brown
    "#aa4499": "#d98fcf",  # purple
    "#4d5a66": "#aab4be",  # slate
    "#117733": "#5dbb7d",  # fir
    "#cc6677": "#e894a2",  # rose
}
SOLID, DASHED, DASH_DOT, DOTTED = "-", (0, (5, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (1.2, 1.2))
DASHES: tuple[Any, ...] = (SOLID, DASHED, DASH_DOT, DOTTED)
MARKERS = "oDv^P<X>ps"
# Heads of gapfc, by the name in the configuration.
HEADS: dict[str, tuple[str, str, Any]] = {
    "fc": ("#d55e00", "s", DASHED),
    "gap": ("#0072b2", "o", SOLID),
    "gmp": ("#56b4e9", "v", DOTTED),
    "gapgmp": ("#332288", "D", DASH_DOT),
    "gem": ("#999933", "<", SOLID),
    "nin": ("#009e73", "^", DASH_DOT),
    "spp": ("#cc79a7", "P", SOLID),
    "sppf": ("#882255", "X", DASHED),
    "spp_fixed": ("#e69f00", "p", DOTTED),
    "attn": ("#117733", "h", SOLID),
    "lse": ("#cc6677", "d", DASHED),
}
OWN_COLOURS = ("#44aa99", "#7a4b24", "#aa4499", "#4d5a66")  # no shipped head has them
OWN_MARKERS = ">*8"
LONGEST_DRAWN = 60


@dataclass(frozen=True)
class Look:
    """How one group is drawn in every picture; hollow: its markers are rings."""

    colour: str
    marker: str
    dash: Any
    label: str
    hollow: bool = False

    @property
    def face(self) -> str:
        """What its markers are filled with."""
        return PAPER if self.hollow else self.colour

    @property
    def line(self) -> dict[str, Any]:
        """The same for matplotlib's `plot`."""
        return {
            "color": self.colour, "ls": self.dash, "marker": self.marker, "mfc": self.face,
            "label": self.label,
        }  # fmt: skip


def looks(comparison: Comparison) -> dict[str, Look]:
    """The look of every group by label. The baseline's label says so."""
    return looks_of(
        {row.label: _head(row, comparison.by) for row in comparison.rows},
        {row.label for row in comparison.rows if row.is_baseline},
    )


def looks_of(heads: Mapping[str, str | None], baselines: set[str] | None = None) -> dict[str, Look]:
    """The look of groups by label. heads: each one's head, None where none tells it apart.

    Several groups of a head share colour and marker: they differ by dash, then by filling.
    """
    of_head: dict[str | None, list[str]] = defaultdict(list)
    for label in sorted(heads):
        of_head[heads[label]].append(label)
    table = _table([head for head in of_head if head is not None])
    made = {}
    for head, labels in of_head.items():
        for index, label in enumerate(labels):
            colour, marker, dash = _in_turn(index) if head is None else table[head]
            if head is not None and len(labels) > 1:
                dash = DASHES[index % len(DASHES)]
            name = drawn_name(label) + (" (baseline)" if label in (baselines or ()) else "")
            hollow = head is not None and index // len(DASHES) % 2 == 1
            made[label] = Look(colour, marker, dash, name, hollow)
    return made


def _head(row: Row, by: tuple[str, ...]) -> str | None:
    """The head that tells a group apart: of transfer, the source's."""
    return next((row.values[by.index(key)] for key in ("source.head", "head") if key in by), None)


def _table(heads: list[str]) -> dict[str, tuple[str, str, Any]]:
    """Colour, marker and dash of heads; two of one's own are never alike, if there are not many."""
    found, taken = {}, set()
    many = len(OWN_COLOURS) * len(OWN_MARKERS)
    for head in sorted(heads):
        if head in HEADS:
            found[head] = HEADS[head]
            continue
        start = crc32(head.encode(errors="replace"))
        places = [(start + step) % many for step in range(many)]
        place = next((place for place in places if place not in taken), places[0])
        taken.add(place)
        found[head] = (
            OWN_COLOURS[place % len(OWN_COLOURS)],
            OWN_MARKERS[place // len(OWN_COLOURS)],
            DASHES[start % len(DASHES)],
        )
    return found


def _in_turn(index: int) -> tuple[str, str, Any]:
    colours = list(COLOURS)
    turn = index // len(colours)
    return (
        colours[index % len(colours)], MARKERS[index % len(MARKERS)], DASHES[turn % len(DASHES)],
    )  # fmt: skip


def drawn_name(name: str) -> str:
    """A name as it fits beside a plot. matplotlib has no legend for one that starts with `_`."""
    shown = printable(name, LONGEST_DRAWN)
    return f" {shown}" if shown.startswith("_") else shown
