"""`--choose`: the setting that validation prefers for each group, and how clear that was."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gapfc.compare.fields import metric_of, value_of
from gapfc.compare.groups import Values
from gapfc.compare.mixtures import SPLIT, settings_of
from gapfc.errors import UserError
from gapfc.records.run import Run

METRIC = "val.accuracy"
BALANCED = "balanced_accuracy"
# What gapfc.engine.losses.Diverged says, which is not imported as it needs torch.
DIVERGED = re.compile(r"The loss became (nan|-?inf) at step \d")

# More of these is more regularised; of all else, such as rates and widths, less.
RESTRAINS = ("dropout", "weight_decay", "label_smoothing")

Edge = Literal["lowest", "highest"]


@dataclass(frozen=True)
class Choice:
    """The setting chosen for one group.

    A setting is told as `0.01`, or `lr=0.01, dropout=0.5` where several keys are chosen together.

    Attributes:
        values: of the group, as in `by`.
        metric: whose mean chose.
        chosen: the chosen value by key.
        setting: the same as told.
        tried: all settings of the group, the smallest first.
        among: mean validation accuracy over `seeds` by setting; without those at which every seed
            diverged.
        seeds: that settings were judged by.
        failed: the seeds that diverged, by setting. A setting with more of them than another is
            not chosen.
        tied: other settings as good as the chosen one, which is the most regularised.
        runner_up: the best of the other settings that could have been chosen.
        ahead: of the runner-up, in mean validation accuracy.
        at_edge: by key, whether the chosen value is the lowest or highest tried, so that a better
            one may lie beyond. None if not, if there is no other number, or if it is 0.
    """

    values: Values
    metric: str
    chosen: dict[str, str]
    setting: str
    tried: tuple[str, ...]
    among: dict[str, float]
    seeds: tuple[int, ...]
    failed: dict[str, tuple[int, ...]]
    tied: tuple[str, ...]
    runner_up: str | None
    ahead: float | None
    at_edge: dict[str, Edge | None]


def choose(
    runs: Sequence[Run],
    by: Sequence[str],
    keys: Sequence[str],
    failed: Sequence[Run] = (),
    metric: str = METRIC,
) -> tuple[list[Run], list[Choice]]:
    """For every group, keep the runs at the setting of `keys` with the best mean of `metric`.

    Choosing on validation, from the same settings for every group, lets each be judged at its own
    best learning rate without touching the test split. Settings are judged by the seeds that all
    of them have, if any; ties go to the smaller setting.

    runs: completed. failed: runs that did not complete, of which those that diverged count as a
    failure of their setting, unless they differ from the group's runs in more than `keys`.
    metric: of validation, higher is better.

    Raises UserError when a group has no value of `metric`.
    """
    groups: dict[Values, dict[Values, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(runs, key=lambda run: run.when):
        groups[_values(run, by)][_values(run, keys)].append(run)
    lost = [run for run in failed if diverged(run)]
    kept: list[Run] = []
    choices: list[Choice] = []
    for group, settings in groups.items():
        failures = _failures(group, settings, by, keys, lost)
        choice, values = _choice(group, settings, keys, failures, metric)
        kept += settings[values]
        choices.append(choice)
    return kept, choices


def chosen_by(metric: str) -> str:
    """The measure of validation that settings are chosen by where `metric` is compared."""
    return f"val.{BALANCED}" if metric.rpartition(".")[2] == BALANCED else METRIC


def diverged(run: Run) -> bool:
    """Whether a run failed because its loss was no longer finite."""
    error = run.results.get("error")
    return run.status == "failed" and isinstance(error, str) and bool(DIVERGED.match(error))


def size_of(value: str) -> float | None:
    """A setting's value as a number, if it is a finite one."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def by_size(values: Values) -> tuple[tuple[float, str], ...]:
    """Sorts settings: smaller numbers first, then words by name."""
    sizes = [(size_of(value), value) for value in values]
    return tuple((math.inf if size is None else size, value) for size, value in sizes)


def by_restraint(keys: Sequence[str], values: Values) -> tuple[tuple[float, str], ...]:
    """Sorts settings that do equally well: the more regularised first.

    That is the larger of what `RESTRAINS`, the smaller of all else, such as rates and widths.
    """
    return tuple(
        (-size if math.isfinite(size) and key.rpartition(".")[2] in RESTRAINS else size, word)
        for key, (size, word) in zip(keys, by_size(values), strict=True)
    )


def told(keys: Sequence[str], values: Values) -> str:
    """A setting in words: `0.01`, or `lr=0.01, dropout=0.5`."""
    if len(keys) == 1:
        return values[0]
    named = zip(keys, values, strict=True)
    return ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in named)


def _values(run: Run, keys: Sequence[str]) -> Values:
    return tuple(value_of(run, key) for key in keys)


def _failures(
    group: Values,
    settings: Mapping[Values, Sequence[Run]],
    by: Sequence[str],
    keys: Sequence[str],
    lost: Sequence[Run],
) -> dict[Values, set[int]]:
    """The seeds that diverged by setting, without those that a run of the same came through."""
    failures: dict[Values, set[int]] = defaultdict(set)
    theirs = [run for run in lost if _values(run, by) == group]
    if theirs:
        besides = (*keys, SPLIT)  # each seed may have its own split
        ours = [settings_of(run, besides) for members in settings.values() for run in members]
        for run in theirs:
            if settings_of(run, besides) in ours:
                failures[_values(run, keys)].add(run.seed)
    for setting, seeds in failures.items():
        seeds -= {run.seed for run in settings.get(setting, ())}
    return {setting: seeds for setting, seeds in failures.items() if seeds}


def _choice(
    group: Values,
    settings: Mapping[Values, Sequence[Run]],
    keys: Sequence[str],
    failures: Mapping[Values, Collection[int]],
    metric: str,
) -> tuple[Choice, Values]:
    measured: dict[Values, dict[int, float]] = {}
    for setting, members in settings.items():
        newest = {run.seed: metric_of(run, metric) for run in members}
        seen = {seed: value for seed, value in newest.items() if value is not None}
        if seen:
            measured[setting] = seen
    if not measured:
        raise UserError(
            f"--choose {','.join(keys)}: runs of {' '.join(group)} have no {metric} to choose by"
        )
    fewest = min(len(failures.get(setting, ())) for setting in measured)
    sound = [setting for setting in measured if len(failures.get(setting, ())) == fewest]
    # A setting must not win because of the seeds it happens to have.
    common = set[int].intersection(*(set(measured[setting]) for setting in sound))
    means: dict[Values, float] = {}
    for setting in sorted(measured, key=by_size):
        seen = measured[setting]
        counted = [seen[seed] for seed in sorted(common & seen.keys() or seen)]
        # Equal values in another order are a tie: their sums may differ in the last digit.
        means[setting] = round(math.fsum(counted) / len(counted), 12)
    ranked = sorted(sound, key=lambda setting: (-means[setting], by_restraint(keys, setting)))
    best, others = ranked[0], ranked[1:]
    tried = sorted({*settings, *failures}, key=by_size)
    return Choice(
        values=group,
        metric=metric,
        chosen=dict(zip(keys, best, strict=True)),
        setting=told(keys, best),
        tried=tuple(told(keys, setting) for setting in tried),
        among={told(keys, setting): mean for setting, mean in means.items()},
        seeds=tuple(sorted(common or measured[best])),
        failed={
            told(keys, setting): tuple(sorted(failures[setting]))
            for setting in sorted(failures, key=by_size)
        },
        tied=tuple(told(keys, other) for other in others if means[other] == means[best]),
        runner_up=told(keys, others[0]) if others else None,
        ahead=means[best] - means[others[0]] if others else None,
        at_edge={
            key: _edge(best[place], {setting[place] for setting in tried})
            for place, key in enumerate(keys)
        },
    ), best


def _edge(chosen: str, tried: Collection[str]) -> Edge | None:
    size = size_of(chosen)
    sizes = {number for value in tried if (number := size_of(value)) is not None}
    if size is None or len(sizes) < 2:
        return None
    if size == max(sizes):
        return "highest"
    # Nothing that is chosen goes below 0: no rate, dropout or weight decay.
    return "lowest" if size == min(sizes) and size != 0 else None
