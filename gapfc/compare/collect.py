"""Finds the runs below directories; anything unusable is named, never dropped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gapfc.errors import UserError
from gapfc.formatting import listed, plural, printable
from gapfc.records.of_claims import CLAIMS, without_claims
from gapfc.records.probes import PROBES, read_values
from gapfc.records.run import Run, find_runs, read_run


@dataclass(frozen=True)
class Collection:
    """Everything found below the given directories.

    runs: completed; what probes measured is in their results, below `probe`. unusable: the others.
    problems: what could not be read beside them, in sentences.
    """

    directories: tuple[Path, ...]
    runs: list[Run]
    unusable: list[Run]
    problems: tuple[str, ...] = ()


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
    shown, left_out = without_claims(roots, list(paths.values()))
    found = [read_run(path, configs) for path in shown]
    if not found:
        names = ", ".join(str(root) for root in roots)
        raise UserError(
            f"no run below {names}: a run directory holds config.yaml and results.json, "
            "as `gapfc train` writes them below outputs/train"
        )
    runs, problems = with_probes([run for run in found if run.completed])
    if left_out:
        places = listed(sorted({str(root / CLAIMS) for root in roots if (root / CLAIMS).is_dir()}))
        told = f"{plural(len(left_out), 'run')} of gapfc claims left out, those below {places}"
        problems = (*problems, told)
    return Collection(roots, runs, [run for run in found if not run.completed], problems)


def with_probes(runs: Sequence[Run]) -> tuple[list[Run], tuple[str, ...]]:
    """The same runs with their probes among the results, and a sentence for all that are broken."""
    told, broken = [], []
    for run in runs:
        try:
            values = read_values(run.path)
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else printable(str(error))
            broken.append(f"{run.path}: {said}")
            values = {}
        told.append(replace(run, results={**run.results, "probe": values}) if values else run)
    if not broken:
        return told, ()
    more = f"; and {len(broken) - 1} more" if len(broken) > 1 else ""
    return told, (f"{PROBES} of {plural(len(broken), 'run')} cannot be read ({broken[0]}{more})",)
