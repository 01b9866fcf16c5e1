"""`--where key=value`: keeps the runs whose key has one of the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import yaml

from gapfc.compare.collect import Collection
from gapfc.compare.fields import ABSENT, known_keys, near_it, show, value_of
from gapfc.errors import UserError
from gapfc.records.run import Run


@dataclass(frozen=True)
class Condition:
    """One `--where`: the key's value is among `values` (or, negated, is none of them)."""

    key: str
    values: tuple[str, ...]
    negated: bool

    def holds(self, run: Run) -> bool:
        """Whether the run stays."""
        return (value_of(run, self.key) in self.values) != self.negated

    def __str__(self) -> str:
        return f"{self.key}{'!=' if self.negated else '='}{','.join(self.values)}"


def split_outside_brackets(text: str) -> list[str]:
    """Splits at commas that are not inside brackets or braces.

    >>> split_outside_brackets("fc,[1,2],gap")
    ['fc', '[1,2]', 'gap']
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{(") - (character in "]})")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def normalise(text: str) -> str:
    """A typed value in the spelling that `show` gives it.

    >>> normalise("[512, 256]"), normalise("1e-3"), normalise("True")
    ('[512,256]', '0.001', 'true')
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return show(text)
    if isinstance(value, str):  # YAML 1.1 reads 1e-3 as a string
        try:
            value = float(value)
        except ValueError:
            return show(value)
    return show(value)


def parse_condition(text: str) -> Condition:
    """`key=value`, `key=value,value` (any of them) or `key!=value`.

    Raises UserError when there is no `=` or a side is empty.
    """
    key, equals, values = text.partition("=")
    negated = key.endswith("!")
    key = key.removesuffix("!").strip()
    if not equals or not key or not values.strip():
        raise UserError(f"--where {text}: give key=value, as in --where dataset=digits")
    return Condition(key, tuple(normalise(v) for v in split_outside_brackets(values)), negated)


def apply(collection: Collection, conditions: Sequence[Condition]) -> Collection:
    """As `select`; raises UserError also if no completed run is left."""
    selected = select(collection, conditions)
    if not selected.runs and conditions:
        _none_left(conditions, f"{len(collection.runs)} completed runs")
    return selected


def select(collection: Collection, conditions: Sequence[Condition]) -> Collection:
    """The runs for which every condition holds.

    A broken run stays where nothing readable says otherwise: it may belong with the others.
    Raises UserError for a key or value that no run has, naming near ones, and if none is left.
    """
    everything: list[Run] = [*collection.runs, *collection.unusable]
    for condition in conditions:
        _must_occur(condition, everything)
    runs = [run for run in collection.runs if all(c.holds(run) for c in conditions)]
    unusable = [
        run
        for run in collection.unusable
        if all(c.holds(run) or _unknown(run, c.key) for c in conditions)
    ]
    if not runs and not unusable:
        _none_left(conditions, f"{len(everything)} runs")
    return replace(collection, runs=runs, unusable=unusable)


def _none_left(conditions: Sequence[Condition], of: str) -> NoReturn:
    said = " ".join(f"--where {condition}" for condition in conditions)
    raise UserError(f"{said}: none of {of} is left")


def _unknown(run: Run, key: str) -> bool:
    return run.status == "broken" and value_of(run, key) == ABSENT


def _must_occur(condition: Condition, runs: Sequence[Run]) -> None:
    present = sorted({value_of(run, condition.key) for run in runs} - {ABSENT})
    if not present:
        hint = near_it(condition.key, known_keys(runs))
        raise UserError(f"--where {condition}: no run has the key {condition.key}{hint}")
    for value in condition.values:
        if value not in present and value != ABSENT:
            some = ", ".join(present[:12]) + (", …" if len(present) > 12 else "")
            raise UserError(
                f"--where {condition}: {condition.key} is never {value}; it takes {some}"
            )
