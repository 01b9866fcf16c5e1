"""Groups runs by `--by`, and chooses each group's setting where `--choose` asks for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from gapfc.compare.fields import ABSENT, known_keys, metric_of, near_it, value_of
from gapfc.errors import UserError
from gapfc.records.run import Run

Values = tuple[str, ...]


@dataclass
class Group:
    """The runs that share the values of `--by`, one per seed."""

    values: Values
    runs: dict[int, Run] = field(default_factory=dict)
    reruns: list[Run] = field(default_factory=list)  # older runs of a seed, which do not count


@dataclass(frozen=True)
class Choice:
    """A setting chosen for one group by `--choose`, on the validation split."""

    values: Values
    key: str
    chosen: str
    among: dict[str, float]  # setting -> mean validation accuracy over seeds


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


def check_keys(runs: Sequence[Run], by: Sequence[str]) -> None:
    """Raises UserError for a key that no run has, naming near ones."""
    for key in by:
        if key == "seed":
            raise UserError("--by seed: runs are paired by seed; group by head, dataset, …")
        if all(value_of(run, key) == ABSENT for run in runs):
            hint = near_it(key, known_keys(runs))
            raise UserError(f"--by {key}: no run has the key {key}{hint}")


def choose(
    runs: Sequence[Run], by: Sequence[str], key: str, metric: str = "val.accuracy"
) -> tuple[list[Run], list[Choice]]:
    """For every group, keep the runs at the setting of `key` with the best mean `metric`.

    Choosing on validation, from the same settings for every group, lets each be judged at its own
    best learning rate without touching the test split. Settings are judged by the seeds that all
    of a group's settings have, if any. Ties go to the setting seen first.

    Raises UserError when a group has no `metric`.
    """
    cells: dict[Values, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(runs, key=lambda run: run.when):
        cells[tuple(value_of(run, k) for k in by)][value_of(run, key)].append(run)
    kept: list[Run] = []
    choices: list[Choice] = []
    for values, settings in cells.items():
        means: dict[str, float] = {}
        measured: dict[str, dict[int, float]] = {}
        for setting, members in settings.items():
            newest = {run.seed: metric_of(run, metric) for run in members}
            seen = {seed: value for seed, value in newest.items() if value is not None}
            if seen:
                measured[setting] = seen
        # A setting must not win because of the seeds it happens to have.
        common = set[int].intersection(*map(set, measured.values())) if measured else set()
        for setting, by_seed in measured.items():
            counted = [by_seed[seed] for seed in common or by_seed]
            means[setting] = sum(counted) / len(counted)
        if not means:
            raise UserError(f"--choose {key}: runs of {' '.join(values)} have no {metric}")
        best = max(means, key=lambda setting: means[setting])
        kept += settings[best]
        choices.append(Choice(values, key, best, means))
    return kept, choices
