"""What else runs differ in: what changes what is compared, and what does not.

What *belongs* to a `--by` key may differ with it: `--by head` owns every option below `head`, so
fc with a hidden layer may stand beside gap with none; and the learning rate, where a recipe has one
for each head. Within one group nothing may differ but the
seed: two runs of `fc` with other hidden layers are two groups, `--by head,head.hidden`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gapfc.compare.fields import (
    ALIASES,
    distinct_configs,
    flatten,
    part_of,
    show,
    value_of,
)
from gapfc.compare.groups import Values
from gapfc.compare.recipes import HEAD_RATE, RATE, recipes_of
from gapfc.records.identity import is_as_before, is_execution, is_identity
from gapfc.records.run import Run

# In a transfer run the target's head follows from the source's, and the other way round.
OWNS_TOO = {
    "source.head": ("head", "transfer.source.head"),
    "head": ("transfer.source.head",),
    "source.dataset": ("transfer.source.dataset", "transfer.source.classes"),
    "source.backbone": ("transfer.source.backbone",),
    "protocol": ("transfer.protocol",),
    "backbone.trainable": ("augment.views",),  # frozen parts see a few views of an image
    # What recipes differ in, beside rates; epochs and batches they have in common.
    "recipe": ("augment", "backbone.trainable"),
}
# The source's identity; its path and accuracy differ with every seed.
SOURCE_FIELDS = ("head", "dataset", "backbone", "classes", "group")
# How the source was trained: one way within a group. Between groups it differs with the head, and
# is reported above the table if it differs in more.
SOURCE_GROUP = "transfer.source.group"
# Which images are held out. It may differ with the seed, as in `dataset.split_seed=${seed}`.
SPLIT = "dataset.split_seed"


def mixed_settings(runs: Sequence[Run], by: Sequence[str]) -> dict[str, dict[str, int]]:
    """What runs differ in besides `by`, or those of a group besides the seed, and how many have it.

    Returns the number of runs of each value, by key. Ask before re-runs are set aside: a run at
    another learning rate is not a re-run.
    """
    settings = _settings_of(distinct_configs(runs))
    # There may be thousands of runs, but only a few kinds.
    kinds = Counter(
        (
            tuple(value_of(run, key) for key in by),
            id(run.config),
            show(run.results.get("command", "train")),
            _source(run),
        )
        for run in runs
    )
    told = [
        (values, {**settings[config], "command": command, **dict(source)}, count)
        for (values, config, command, source), count in kinds.items()
    ]
    mixed: dict[str, dict[str, int]] = {}
    alike = {*by, SPLIT} if _split_by_seed(runs, by) else set(by)
    from_recipe = _from_recipe(runs, by)
    for key in sorted({key for _, facts, _ in told for key in facts} - alike):
        owned = key == SOURCE_GROUP or belongs_to(key, by) or key in from_recipe
        seen: dict[Values, set[str]] = defaultdict(set)
        counts: dict[str, int] = Counter()
        for values, facts, count in told:
            value = facts.get(key, "null")
            seen[values if owned else ()].add(value)
            counts[value] += count
        if any(len(values) > 1 for values in seen.values()):
            mixed[key] = counts
    return _collapse(mixed)


def _from_recipe(runs: Sequence[Run], by: Sequence[str]) -> set[str]:
    """The rates that may differ with the head or the recipe, since recipes have them by head."""
    recipes = recipes_of(runs)
    if "recipe" in by and recipes:
        return {RATE, HEAD_RATE}
    return {RATE} if "head" in by and len(recipes) == 1 else set()


def execution_notes(runs: Sequence[Run]) -> list[str]:
    """Differences that change speed and rounding, not what is compared: noted above the table."""
    settings = {
        id(config): {
            leaf: show(value)
            for leaf, value in flatten(config).items()
            # For these, results.json holds the resolved values.
            if is_execution(leaf)
            and leaf not in ("trainer.device", "trainer.devices", "trainer.precision")
        }
        for config in distinct_configs(runs)
    }
    facts: dict[str, dict[str, int]] = defaultdict(Counter)
    for run in runs:
        for name in ("device", "precision", "torch", "gapfc", "git"):
            facts[name][show(run.results.get(name))] += 1
        threads = run.results.get("threads")  # runs of before do not say
        if run.results.get("device") == "cpu" and threads is not None:
            facts["threads"][show(threads)] += 1
        facts["world_size"][show(run.results.get("world_size") or 1)] += 1
        for leaf, value in settings[id(run.config)].items():
            facts[leaf][value] += 1
    return [
        f"{name} differs: " + ", ".join(f"{value} ({n} runs)" for value, n in counts.items())
        for name, counts in facts.items()
        if len(counts) > 1
    ]


def splits_vary(runs: Iterable[Run]) -> bool:
    """Whether these runs, of one group, have several splits: then not all saw the same images."""
    return len({value_of(run, SPLIT) for run in runs}) > 1


def _split_by_seed(runs: Sequence[Run], by: Sequence[str]) -> bool:
    """Whether runs of one seed have one split, in every group: then they are still paired."""
    owned = belongs_to(SPLIT, by)
    splits: dict[tuple[Values, int], set[str]] = defaultdict(set)
    for run in runs:
        values = tuple(value_of(run, key) for key in by) if owned else ()
        splits[values, run.seed].add(value_of(run, SPLIT))
    return all(len(of_seed) == 1 for of_seed in splits.values())


def settings_of(run: Run, besides: Sequence[str]) -> dict[str, str]:
    """The settings by dotted path that runs of a group have to share, but for keys `besides`."""
    return {leaf: v for leaf, v in _settings(run.config).items() if not belongs_to(leaf, besides)}


def _settings_of(configs: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, str]]:
    """`_settings` of each, by its id."""
    found = {id(config): (_settings(config), flatten(config)) for config in configs}
    for leaf in {leaf for settings, _ in found.values() for leaf in settings}:
        # A whole path below one run's data_root may be above another's: it is one file.
        typed = {show(config[leaf]) for settings, config in found.values() if leaf in settings}
        if len(typed) == 1:
            for settings, _ in found.values():
                if leaf in settings:
                    settings[leaf] = next(iter(typed))
    return {key: settings for key, (settings, _) in found.items()}


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings that have to be equal within a group, by dotted path."""
    # Two machines keep the same data in two places.
    root = str(config.get("data_root") or "").rstrip("/") + "/"
    return {
        leaf: show(value).removeprefix(root if len(root) > 1 else "")
        for leaf, value in flatten(config).items()
        # A setting that is off counts as equal to one that an older gapfc did not have yet.
        if value is not None and not is_as_before(leaf, value) and _is_compared(leaf)
    }


def _is_compared(leaf: str) -> bool:
    # A source's path differs with every seed: `_source` has what it is.
    return is_identity(leaf) and not is_execution(leaf) and leaf.partition(".")[0] != "source"


def _source(run: Run) -> tuple[tuple[str, str], ...]:
    """Protocol and identity of the source of a transfer run; empty for any other run."""
    transfer = run.results.get("transfer")
    if not isinstance(transfer, Mapping):
        return ()
    source = part_of(transfer, "source")
    names = [name for name in SOURCE_FIELDS if name in source]
    return (
        ("transfer.protocol", show(transfer.get("protocol"))),
        *((f"transfer.source.{name}", show(source[name])) for name in names),
    )


def belongs_to(leaf: str, by: Iterable[str]) -> bool:
    """Whether a setting may differ with one of the keys `by`."""
    return any(
        leaf == node or leaf.startswith(node + ".")
        for key in by
        for node in (key, *OWNS_TOO.get(key, ()))
    )


def _collapse(mixed: Mapping[str, dict[str, int]]) -> dict[str, dict[str, int]]:
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
