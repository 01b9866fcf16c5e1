"""Groups runs by the keys of `--by`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gapfc.compare.fields import ABSENT, known_keys, near_it, value_of
from gapfc.errors import UserError
from gapfc.records.run import Run

Values = tuple[str, ...]


@dataclass
class Group:
    """The runs that share the values of `--by`, one per seed."""

    values: Values
    runs: dict[int, Run] = field(default_factory=dict)
    reruns: list[Run] = field(default_factory=list)  # older runs of a seed, which do not count


def group(runs: Sequence[Run], by: Sequence[str]) -> list[Group]:
    """Groups `runs` by the values of `by`; if a seed was run again, its newest run counts."""
    cells: dict[Values, Group] = {}
    for run in sorted(runs, key=lambda run: run.when):
        values = tuple(value_of(run, key) for key in by)
        cell = cells.setdefault(values, Group(values))
        older = cell.runs.get(run.seed)
        if older is not None:
            cell.reruns.append(older)
        cell.runs[run.seed] = run
    return list(cells.values())


def check_keys(runs: Sequence[Run], keys: Sequence[str], option: str = "--by") -> None:
    """Raises UserError for a key of `option` that no run has, naming near ones."""
    for key in keys:
        if key == "seed":
            raise UserError(f"{option} seed: runs are paired by seed; give head, dataset, …")
        if all(value_of(run, key) == ABSENT for run in runs):
            hint = near_it(key, known_keys(runs))
            raise UserError(f"{option} {key}: no run has the key {key}{hint}")
