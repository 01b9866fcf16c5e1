"""Tidy data: a row per run, with its settings and all that it measured, for pandas and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gapfc.compare.collect import Collection, collect
from gapfc.compare.fields import flatten, number, typed
from gapfc.compare.output.export import csv_of
from gapfc.compare.where import apply, parse_condition
from gapfc.formatting import printable
from gapfc.records.identity import PLACE, SEED
from gapfc.records.run import NAMED, Run

FACTS = ("path", "status", "reason", "command", "dataset", "backbone", "head", "seed", "group")
# Beside the facts: what says nothing of a run, or is said elsewhere.
LEFT_OUT = ("schema", "error", "overrides")
LONGEST = 4000

Row = dict[str, Any]


def runs_as_rows(collection: Collection) -> list[Row]:
    """A row for each run in `collection`, by path; all have the same keys, and None where missing.

    First FACTS; then the settings that differ between the runs, by dotted path as in config.yaml;
    then every number and word of results.json and probes.json, by dotted path. Lists are text, as
    typed on a command line; of a list of numbers, such as the recall of each class, nothing.
    """
    runs = sorted([*collection.runs, *collection.unusable], key=lambda run: str(run.path))
    settings = [_settings(run) for run in runs]
    differ = [
        key
        for key in dict.fromkeys(key for each in settings for key in each)
        if len({typed(each.get(key)) for each in settings}) > 1
    ]
    measured = [_measured(run) for run in runs]
    keys = dict.fromkeys((*FACTS, *differ, *(key for each in measured for key in each)))
    rows: list[Row] = []
    for run, its_settings, its_numbers in zip(runs, settings, measured, strict=True):
        told = {**{key: its_settings.get(key) for key in differ}, **its_numbers, **_facts(run)}
        rows.append({key: told.get(key) for key in keys})
    return rows


def csv_of_runs(rows: Sequence[Row]) -> str:
    """The rows as CSV, numbers in full; true and false as typed, missing = empty."""
    header = list(rows[0])
    cells = ([typed(v) if isinstance(v, bool) else v for v in row.values()] for row in rows)
    return csv_of(header, cells)


def results(*directories: str | Path, where: str | Sequence[str] = ()) -> Any:
    """A row per run below `directories`: settings that differ, and all that was measured.

    A pandas DataFrame where pandas is installed, else a list of dicts. Reads only; runs that are
    broken are rows with their status. docs/tidy.md says what the columns are.

    Args:
        directories: "outputs" where none is given.
        where: conditions as of `gapfc compare --where`, such as "head=gap,nin".

    Raises:
        UserError: for a directory that does not exist or holds no run, and for a key or value that
            no run has.
    """
    conditions = [where] if isinstance(where, str) else where
    runs = apply(collect(directories or ("outputs",)), [parse_condition(c) for c in conditions])
    rows = runs_as_rows(runs)
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows)


def _facts(run: Run) -> Row:
    found = {name: _name(run, name) for name in NAMED}
    seed = run.results.get(SEED, run.config.get(SEED))
    group = run.results.get("group")
    return {
        "path": printable(str(run.path), LONGEST),
        "status": run.status,
        "reason": None if run.reason is None else printable(run.reason, LONGEST),
        "command": printable(run.command) or None,
        **{key: None if name is None else printable(name) for key, name in found.items()},
        "seed": seed if isinstance(seed, int) else None,
        "group": printable(group) if isinstance(group, str) else None,
    }


def _name(run: Run, part: str) -> str | None:
    try:
        return run.name(part)
    except (KeyError, TypeError):  # a config that is broken, or not of a run
        return None


def _settings(run: Run) -> Row:
    """What config.yaml says, but for places and names, which are among the facts."""
    names = {f"{part}.name" for part in NAMED}
    return {
        printable(key): _cell(value)
        for key, value in flatten(run.config).items()
        if key.partition(".")[0] not in (SEED, *PLACE) and key not in (*names, *PLACE)
    }


def _measured(run: Run) -> Row:
    cells: Row = {}
    for key, value in flatten(run.results).items():
        is_measured = not isinstance(value, list | Mapping) or _is_shape(value)
        if key not in (*FACTS, *LEFT_OUT) and is_measured:
            cells[printable(key)] = _cell(value)
    return cells


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, list) and 0 < len(value) <= 3 and all(isinstance(n, int) for n in value)
    )


def _cell(value: Any) -> Any:
    """A number as it is, anything else as harmless text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if number(value) is not None else None
    return printable(typed(value), LONGEST)
