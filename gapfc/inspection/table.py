"""The table of `gapfc inspect`, to be read at 80 to 100 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapfc.formatting import count, short_time, times

if TYPE_CHECKING:
    from gapfc.inspection.cost import ModelCost


def table(rows: list[ModelCost]) -> str:
    """What is common on top, then one line per row: its measures, or its error."""
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
            f"{short_time(row.seconds['forward']):>8} {short_time(row.seconds['step']):>8}"
        )
    return "\n".join([*_common(good), *lines])


def _common(rows: list[ModelCost]) -> list[str]:
    said = {
        f"{row.backbone} on {row.dataset} ({times(row.input)}, {row.classes} classes), "
        f"{row.device}{_shared(row)}, {row.precision}, batch {row.batch_size}; share: of the head"
        for row in rows
    }
    return [*sorted(said), ""] if said else []


def _shared(row: ModelCost) -> str:
    return f" ({row.world_size} processes)" if row.world_size > 1 else ""
