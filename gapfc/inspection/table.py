"""The table of `gapfc inspect`, to be read at 80 to 100 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gapfc.inspection.cost import Row

UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def table(rows: list[Row]) -> str:
    """What is common above; then a line a row: its measures, or its error."""
    good = [row for row in rows if row.error is None]
    name = "head" if all(row.label == row.head for row in rows) else "model"
    first = max(len(name), *(len(row.label) for row in rows))
    shape = max([11, *(len(times(row.feature_map)) for row in good)])
    lines = []
    if good:
        lines += [
            f"{'':<{first}}  {'feature map':>{shape}}    {'parameters':^22}    "
            f"{'MACs of an image':^22}   {'time of a batch':>17}",
            f"{name:<{first}}  {'C×H×W':>{shape}}    {'backbone':>8} {'head':>7} {'share':>5}    "
            f"{'backbone':>8} {'head':>7} {'share':>5}   {'forward':>8} {'step':>8}",
        ]
    for row in rows:
        if row.error is not None:
            lines.append(f"{row.label:<{first}}  error: {row.error}")
            continue
        cells = "    ".join(
            f"{count(counts['backbone']):>8} {count(counts['head']):>7} "
            f"{row.share[name]['head']:>5.1%}"
            for name, counts in (("parameters", row.parameters), ("macs", row.macs))
        )
        lines.append(
            f"{row.label:<{first}}  {times(row.feature_map):>{shape}}    {cells}   "
            f"{duration(row.seconds['forward']):>8} {duration(row.seconds['step']):>8}"
        )
    return "\n".join([*_common(good), *lines])


def _common(rows: list[Row]) -> list[str]:
    said = {
        f"{row.backbone} on {row.dataset} ({times(row.input)}, {row.classes} classes), "
        f"{row.device}, {row.precision}, batch {row.batch_size}; share: of the head"
        for row in rows
    }
    return [*sorted(said), ""] if said else []


def times(shape: tuple[int, ...]) -> str:
    """(512, 4, 4) -> 512×4×4."""
    return "×".join(map(str, shape))


def count(number: int) -> str:
    """Three digits and a unit: 1552896 -> 1.55M."""
    for size, unit in UNITS:
        if number >= size * 0.9995:
            return f"{_three(number / size)}{unit}"
    return str(number)


def duration(seconds: float) -> str:
    """Three digits and a unit: 0.01234 -> 12.3 ms."""
    if seconds >= 1:
        return f"{_three(seconds)} s"
    return f"{_three(seconds * 1e3)} ms" if seconds >= 1e-3 else f"{_three(seconds * 1e6)} µs"


def _three(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
