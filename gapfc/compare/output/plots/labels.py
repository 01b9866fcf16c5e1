"""Puts a name beside each point so that no name covers a point, a line or another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from gapfc.compare.output.plots.look import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

Across = Literal["left", "right", "center"]
Upward = Literal["bottom", "top", "center"]
# Tried in turn, in points from the marker: beside it, then ever farther away around it.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
DISTANCES = (9, 16, 25, 36, 50, 66, 84)


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    colours: Sequence[str],
    obstacles: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
) -> None:
    """Name the points [n] of `axes`, with a thin line if a name had to go farther away.

    obstacles: upright or level lines ((x0, y0), (x1, y1)) in data units not to be covered.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import Bbox

    figure = cast("Figure", axes.figure)  # gapfc draws no figures within figures
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # the layout must be final before boxes in pixels mean anything
    renderer = canvas.get_renderer()
    inside = axes.get_window_extent(renderer)
    to_pixels = axes.transData.transform
    taken: list[Bbox] = []
    for x, y in points:
        px, py = to_pixels((x, y))
        taken.append(Bbox.from_extents(px - 7, py - 7, px + 7, py + 7))
    for start, end in obstacles:
        (left, bottom), (right, top) = to_pixels(start), to_pixels(end)
        taken.append(Bbox.from_extents(left - 3, bottom - 3, right + 3, top + 3))
    order = sorted(range(len(points)), key=lambda i: -points[i][1])
    for index in order:
        note = axes.annotate(
            names[index],
            points[index],
            xytext=(9, 0),
            textcoords="offset points",
            fontsize=9,
            color=colours[index],
            fontweight="bold",
            annotation_clip=False,
        )
        for offset, sides in _places():
            note.set_position(offset)
            note.set_horizontalalignment(sides[0])
            note.set_verticalalignment(sides[1])
            box = note.get_window_extent(renderer).padded(1.5)
            if _fits(box, inside) and not any(box.overlaps(other) for other in taken):
                break
        taken.append(note.get_window_extent(renderer))
        if max(map(abs, note.get_position())) > DISTANCES[1]:
            axes.annotate(
                "",
                points[index],
                xytext=note.get_position(),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkB": 4},
            )
    for text in axes.texts:
        text.set_in_layout(False)


def _places() -> list[tuple[tuple[float, float], tuple[Across, Upward]]]:
    places: list[tuple[tuple[float, float], tuple[Across, Upward]]] = []
    for distance in DISTANCES:
        for right, up in DIRECTIONS:
            across: Across = "left" if right > 0 else "right" if right < 0 else "center"
            upward: Upward = "bottom" if up > 0 else "top" if up < 0 else "center"
            share = 0.75 if right and up else 1.0
            places.append(((right * distance * share, up * distance * share), (across, upward)))
    return places


def _fits(box: Bbox, inside: Bbox) -> bool:
    return bool(
        box.x0 >= inside.x0 and box.x1 <= inside.x1 and box.y0 >= inside.y0 and box.y1 <= inside.y1
    )
