"""Finds the runs below directories; anything unusable is named, never dropped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gapfc.errors import UserError
from gapfc.records.probes import read_values
from gapfc.records.run import Run, find_runs, read_run


@dataclass(frozen=True)
class Collection:
    """Everything found below the given directories; `unusable`: runs that did not complete."""

    directories: tuple[Path, ...]
    runs: list[Run]
    unusable: list[Run]


def collect(directories: Sequence[str | Path]) -> Collection:
    """Reads every run at or below `directories`.

    Raises UserError when a directory does not exist or holds no run at all.
    """
    roots = tuple(Path(directory) for directory in directories)
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a directory: gapfc compare takes directories of runs")
    configs: dict[str, dict[str, Any]] = {}
    paths: dict[str, Path] = {}
    for path in (path for root in roots for path in find_runs(root)):
        # A directory may be named twice, or lie below another.
        paths.setdefault(os.path.realpath(path), path)
    found = [_with_probes(read_run(path, configs)) for path in paths.values()]
    if not found:
        names = ", ".join(str(root) for root in roots)
        raise UserError(
            f"no run below {names}: a run directory holds config.yaml and results.json, "
            "as `gapfc train` writes them below outputs/train"
        )
    return Collection(
        roots,
        [run for run in found if run.completed],
        [run for run in found if not run.completed],
    )


def _with_probes(run: Run) -> Run:
    probe = read_values(run.path)
    return replace(run, results={**run.results, "probe": probe}) if probe else run
