"""Names for what a run is and what it measured: `head`, `optimizer.lr`, `test.accuracy`, …"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from gapfc.formatting import printable
from gapfc.records.run import Run

ABSENT = "absent"
# No measurement is larger; sums and squares of such numbers are still finite.
LARGEST = 1e100

# Short names for fields that lie deeper in results.json.
ALIASES = {
    "protocol": "transfer.protocol",
    "source.head": "transfer.source.head",
    "source.dataset": "transfer.source.dataset",
    "source.backbone": "transfer.source.backbone",
    "source.seed": "transfer.source.seed",
}
# Facts of results.json by which runs may be grouped and filtered, beside every configuration key.
RESULT_FIELDS = [
    "head", "backbone", "dataset", "command", "seed", "status", "device", "precision", "gapfc",
    "torch", "git", "group",
]  # fmt: skip


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted path; lists stay whole.

    >>> flatten({"a": {"b": 1}, "c": [2]})
    {'a.b': 1, 'c': [2]}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            leaves.update(flatten(value, path + "."))
        else:
            leaves[path] = value
    return leaves


def typed(value: Any) -> str:
    """A configuration value as typed on a command line: `0.1`, `[512]`, `true`, `null`."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), default=str)


def show(value: Any) -> str:
    """The same as shown: in one line, harmless in a terminal and not too long to read.

    All that a comparison tells of a stranger's runs comes from here.
    """
    return printable(typed(value))


def lookup(tree: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or ABSENT; keys may hold dots (`to_accuracy.0.90.epochs`)."""
    if path in tree:
        return tree[path]
    parts = path.split(".")
    for cut in range(1, len(parts)):
        inner = tree.get(".".join(parts[:cut]))
        if isinstance(inner, Mapping):
            value = lookup(inner, ".".join(parts[cut:]))
            if value is not ABSENT:
                return value
    return ABSENT


def value_of(run: Run, key: str) -> str:
    """What `--by key` and `--where key=…` see of a run, as text; ABSENT where it has no such key.

    A whole node of the configuration (`optimizer`) is shown by its name or its `_target_`.
    """
    path = ALIASES.get(key, key)
    if path.startswith("transfer.") or path in RESULT_FIELDS:
        value = lookup(run.results, path)
        if value is not ABSENT and value is not None:
            return show(value)
    value = lookup(run.config, key)
    if value is ABSENT:
        value = lookup(run.results, path)
    if isinstance(value, Mapping):
        name = value.get("name") or str(value.get("_target_", "")).rpartition(".")[2]
        return show(name) if name else show(value)
    return value if value is ABSENT else show(value)


def known_keys(runs: Iterable[Run]) -> list[str]:
    """Every key that `--by` and `--where` accept for these runs."""
    keys: set[str] = set(RESULT_FIELDS)
    for config in distinct_configs(runs):
        for leaf in flatten(config):
            parts = leaf.split(".")
            keys.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))
    if any("transfer" in run.results for run in runs):
        keys.update(ALIASES)
    return sorted(keys)


def distinct_configs(runs: Iterable[Run]) -> list[Mapping[str, Any]]:
    """The configurations of runs; runs of one group share one, which is given once."""
    return list({id(run.config): run.config for run in runs}.values())


def near(word: str, candidates: Iterable[str], most: int = 3) -> list[str]:
    """Candidates that look like `word` or share its last part, the likeliest first."""
    names = list(candidates)
    last = word.rpartition(".")[2]
    close = difflib.get_close_matches(word, names, n=most, cutoff=0.6)
    same_end = [name for name in names if last and name.rpartition(".")[2] == last]
    inside = [name for name in names if last and last in name]
    return list(dict.fromkeys(close + same_end + inside))[:most]


def near_it(word: str, candidates: Iterable[str]) -> str:
    """The end of an error message: `; near it: head, head.hidden`, or nothing."""
    close = near(word, candidates)
    return f"; near it: {', '.join(map(printable, close))}" if close else ""


def numbers(results: Mapping[str, Any]) -> dict[str, float | None]:
    """Every number of results.json by dotted path, and None for those that are null."""
    return {
        path: value
        for path, value in flatten(results).items()
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    }


def number(value: Any) -> float | None:
    """`value` if it is a number that something can have measured, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= LARGEST else None


def metric_of(run: Run, path: str) -> float | None:
    """The number at `path` in results.json, or None if it is null, absent or not a number."""
    return number(lookup(run.results, path))


def part_of(tree: Any, *path: str) -> Mapping[str, Any]:
    """The node at `path` in results.json; empty if there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}
