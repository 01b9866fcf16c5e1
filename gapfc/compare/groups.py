"""Groups runs by `--by`, and refuses to mix runs that differ in anything else.

What *belongs* to a `--by` key may differ with it: `--by head` owns every option below `head`, so
fc with a hidden layer may stand beside gap with none. Within one group nothing may differ but the
seed: two runs of `fc` with other hidden layers are two groups, `--by head,head.hidden`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gapfc.compare.collect import Run
from gapfc.compare.fields import (
    ABSENT,
    ALIASES,
    flatten,
    is_execution,
    is_incidental,
    known_keys,
    metric_of,
    near,
    show,
    value_of,
)
from gapfc.errors import UserError

Values = tuple[str, ...]
# In a transfer run the target's head follows from the source's, and the other way round.
OWNS_TOO = {
    "source.head": ("head", "transfer.source.head"),
    "head": ("transfer.source.head",),
    "source.dataset": ("transfer.source.dataset", "transfer.source.classes"),
    "source.backbone": ("transfer.source.backbone",),
    "protocol": ("transfer.protocol",),
}
# The source's identity; its path and accuracy differ with every seed.
SOURCE_FIELDS = ("head", "dataset", "backbone", "classes", "group")
# How the source was trained: one way within a group. Between groups it differs with the head, and
# is told above the table where it differs in more.
SOURCE_GROUP = "transfer.source.group"


@dataclass
class Group:
    """The runs that share the values of `--by`, one a seed."""

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
    """Groups `runs` by the values of `by`; of a seed's re-runs the newest counts."""
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
            close = near(key, known_keys(runs))
            hint = f"; near it: {', '.join(close)}" if close else ""
            raise UserError(f"--by {key}: no run has the key {key}{hint}")


def choose(
    runs: Sequence[Run], by: Sequence[str], key: str, metric: str = "val.accuracy"
) -> tuple[list[Run], list[Choice]]:
    """For every group keeps the runs at the setting of `key` with the best mean `metric`.

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
        # A setting must not win by the seeds that it happens to have.
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


def _owned(leaf: str, by: Iterable[str]) -> bool:
    return any(
        leaf == node or leaf.startswith(node + ".")
        for key in by
        for node in (key, *OWNS_TOO.get(key, ()))
    )


def _signature(run: Run, cache: dict[int, Mapping[str, Any]]) -> dict[str, str]:
    """What a run is, by dotted path, as far as it has to be equal within a group."""
    leaves = cache.get(id(run.config))
    if leaves is None:
        # Two machines keep the same data in two places.
        root = str(run.config.get("data_root") or "").rstrip("/") + "/"
        leaves = cache[id(run.config)] = {
            leaf: show(value).removeprefix(root if len(root) > 1 else "")
            for leaf, value in flatten(run.config).items()
            # A setting that is off counts as one that an older gapfc did not have yet.
            if value is not None and not is_incidental(leaf) and not is_execution(leaf)
        }
    signature = dict(leaves)
    signature["command"] = str(run.results.get("command", "train"))
    signature.update(_source(run))
    return signature


def _source(run: Run) -> tuple[tuple[str, str], ...]:
    """Protocol and identity of the source of a transfer run; empty for any other run."""
    transfer = run.results.get("transfer")
    if not isinstance(transfer, Mapping):
        return ()
    source = transfer.get("source") or {}
    facts = [("transfer.protocol", show(transfer.get("protocol")))]
    facts += [
        (f"transfer.source.{name}", show(source[name])) for name in SOURCE_FIELDS if name in source
    ]
    return tuple(facts)


def refuse_mixtures(runs: Sequence[Run], by: Sequence[str]) -> None:
    """Raises UserError when runs differ in more than `by`, or those of a group in more than seed.

    To be asked before re-runs are set aside: a run of another learning rate is no re-run.
    """
    cache: dict[int, Mapping[str, Any]] = {}
    distinct: dict[tuple[Any, ...], tuple[Values, dict[str, str], int]] = {}
    for run in runs:
        values = tuple(value_of(run, key) for key in by)
        identity = (values, id(run.config), run.results.get("command"), _source(run))
        _, signature, count = distinct.get(identity) or (None, _signature(run, cache), 0)
        distinct[identity] = (values, signature, count + 1)
    keys = sorted({key for _, signature, _ in distinct.values() for key in signature})
    mixed: dict[str, dict[str, int]] = {}
    for key in keys:
        if key in by:
            continue
        owned = key == SOURCE_GROUP or _owned(key, by)
        seen: dict[Values, set[str]] = defaultdict(set)
        counts: dict[str, int] = defaultdict(int)
        for values, signature, count in distinct.values():
            value = signature.get(key, "null")
            seen[values if owned else ()].add(value)
            counts[value] += count
        if any(len(values) > 1 for values in seen.values()):
            mixed[key] = dict(counts)
    if mixed:
        raise UserError(_explain(_collapse(mixed), by))


def _collapse(mixed: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """One line for a node that differs as a whole: `dataset`, not each key below it."""
    nodes = {key.rpartition(".")[0] for key in mixed if key.endswith((".name", "._target_"))}
    names = {path: alias for alias, path in ALIASES.items()}
    short: dict[str, dict[str, int]] = {}
    for key, counts in mixed.items():
        if "command" in mixed and (key in names or key in ALIASES):
            continue  # a training run has no protocol and no source
        key = names.get(key, key)
        node = next((node for node in nodes if node and key.startswith(node + ".")), None)
        if node is None:
            short[key] = counts
        elif key == f"{node}.name" or (f"{node}.name" not in mixed and key == f"{node}._target_"):
            is_class = key.endswith("._target_")
            short[node] = {v.rpartition(".")[2] if is_class else v: n for v, n in counts.items()}
    return short


def _explain(mixed: dict[str, dict[str, int]], by: Sequence[str]) -> str:
    lines = [f"these runs differ in more than {', '.join(by)}; they are not mixed:"]
    for key, counts in list(mixed.items())[:8]:
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        told = [f"{value} ({n} run{'s' * (n != 1)})" for value, n in ranked[:6]]
        lines.append(f"  {key}: {', '.join(told)}{', …' if len(ranked) > 6 else ''}")
    if len(mixed) > 8:
        lines.append(f"  and {len(mixed) - 8} more: {', '.join(list(mixed)[8:20])}")
    # Training runs among transfer runs explain most of whatever else differs.
    first = "command" if "command" in mixed else next(iter(mixed))
    value = max(mixed[first].items(), key=lambda item: item[1])[0]
    keep = f"Keep some with --where {first}={value}"
    if first != "command":
        keep += f", or tell them apart: --by {','.join([*by, *list(mixed)[:3]])}"
    lines.append(keep)
    return "\n".join(lines)


def execution_notes(runs: Sequence[Run]) -> list[str]:
    """Differences that change speed and rounding, not what is compared: told above the table."""
    facts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    cache: dict[int, dict[str, str]] = {}
    for run in runs:
        for name in ("device", "precision", "torch", "gapfc", "git"):
            facts[name][show(run.results.get(name))] += 1
        leaves = cache.get(id(run.config))
        if leaves is None:
            leaves = cache[id(run.config)] = {
                leaf: show(value)
                for leaf, value in flatten(run.config).items()
                if is_execution(leaf) and leaf not in ("trainer.device", "trainer.precision")
            }
        for leaf, value in leaves.items():
            facts[leaf][value] += 1
    return [
        f"{name} differs: " + ", ".join(f"{value} ({n} runs)" for value, n in counts.items())
        for name, counts in facts.items()
        if len(counts) > 1
    ]
