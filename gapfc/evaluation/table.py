"""What probes found, in a few columns: a row for each head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from gapfc.evaluation.evaluate import Evaluated
from gapfc.formatting import NOTHING, printable

Values = Mapping[str, Any]
Column = tuple[str, Callable[[Values], float | None]]
MIDDLE = "3"  # of the severities
PARTS = ("dataset", "backbone", "head")
KEY = """\
In percent, means over runs. clean: accuracy; shift n, rolled n: the points it
loses when images move by n pixels, and black comes in, or what leaves comes
back at the other side; 1.5×: accuracy at that size (–: the head takes one
size); corrupt: the points it loses, the mean over five corruptions of severity
3; T: the best temperature."""


def table(evaluated: Iterable[Evaluated]) -> str:
    """Runs with one data set, backbone, head and protocol share a row; empty without any."""
    groups: dict[tuple[str, ...], list[Values]] = {}
    for one in evaluated:
        if one.probes is not None:
            protocol = str(one.run.config.get("protocol") or "")
            names = (*(one.run.name(part) for part in PARTS), protocol)
            groups.setdefault(names, []).append(one.probes.values)
    if not groups:
        return ""
    # Only what tells the rows apart.
    varies = [len(set(column)) > 1 for column in zip(*groups, strict=True)]
    varies[PARTS.index("head")] = True
    columns = _columns(next(iter(groups.values()))[0])
    rows = [["", "runs", *(title for title, _ in columns)]]
    for names, runs in groups.items():
        label = " ".join(name for name, shown in zip(names, varies, strict=True) if shown)
        cells = (_mean([read(values) for values in runs]) for _, read in columns)
        rows.append([printable(label, 24), str(len(runs)), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not number else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def an_eighth(values: Values) -> str | None:
    """The shift, as in `probe.shift.zero.<n>`, of about an eighth of the side; None without one."""
    shifts = list(_at(values, "shift", "zero") or ())
    return shifts[-2:][0] if shifts else None  # the last is about a quarter


def _columns(values: Values) -> list[Column]:
    """Those of the probes in `values`."""
    found: list[Column] = [("clean", _share("clean", "accuracy"))]
    n = an_eighth(values)
    if n is not None:
        found.append((f"shift {n}", _share("shift", "zero", n, "drop")))
        found.append((f"rolled {n}", _share("shift", "circular", n, "drop")))
    if "size" in values:
        found += [(f"{f}×", _share("size", f, "native", "accuracy")) for f in ("0.75", "1.5")]
    if "corruption" in values:
        found.append(("corrupt", _corruption))
    if "calibration" in values:
        found.append(("ECE", _share("calibration", "ece")))
        found.append(("T", lambda each: _number(each, "calibration", "temperature")))
    if "cam" in values:
        found.append(("point", _share("cam", "pointing")))
    if "position" in values:
        found.append(("place", _share("position", "pooled", "accuracy")))
    return found


def _corruption(values: Values) -> float | None:
    clean = _number(values, "clean", "accuracy")
    kinds = _at(values, "corruption") or {}
    found = [_number(kinds, kind, MIDDLE, "accuracy") for kind in kinds]
    left = [value for value in found if value is not None]
    return None if clean is None or not left else 100 * (clean - fmean(left))


def _share(*path: str) -> Callable[[Values], float | None]:
    def read(values: Values) -> float | None:
        value = _number(values, *path)
        return None if value is None else 100 * value

    return read


def _number(values: Any, *path: str) -> float | None:
    found = _at(values, *path)
    return float(found) if isinstance(found, int | float) else None


def _at(values: Any, *path: str) -> Any:
    """What is stored there; None where a file of someone else's lacks it."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _mean(values: Sequence[float | None]) -> str:
    found = [value for value in values if value is not None]
    if not found:
        return NOTHING
    mean = fmean(found)
    return f"{mean:.2f}" if abs(mean) < 10 else f"{mean:.1f}"
