"""Finds run directories and reads them; whatever cannot be used is named, never dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gapfc.errors import UserError
from gapfc.records.results import RESULTS, ResultsError, read_results

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML built without libyaml: the same result, about ten times slower
    from yaml import SafeLoader as Loader


@dataclass(frozen=True)
class Run:
    """A completed run: its directory, results.json and resolved configuration."""

    path: Path
    results: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The seed, by which runs of two groups are paired."""
        return int(self.results["seed"])

    @property
    def when(self) -> tuple[str, float]:
        """Sorts re-runs by age: the directory's name starts with its time, which copying keeps."""
        return self.path.name, (self.path / RESULTS).stat().st_mtime


@dataclass(frozen=True)
class Unusable:
    """A run directory that takes no part in the comparison, and why."""

    path: Path
    kind: str  # failed | interrupted | unfinished | broken
    reason: str
    results: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection:
    """Everything found below the given directories."""

    directories: tuple[Path, ...]
    runs: list[Run]
    unusable: list[Unusable]


def collect(directories: Sequence[str | Path]) -> Collection:
    """Reads every run at or below `directories`.

    Raises UserError when a directory does not exist or holds no run at all.
    """
    roots = tuple(Path(directory) for directory in directories)
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a directory: gapfc compare takes directories of runs")
    runs: list[Run] = []
    unusable: list[Unusable] = []
    seen: set[str] = set()
    configs: dict[str, Mapping[str, Any]] = {}
    for root in roots:
        for path in find_runs(root):
            real = os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            found = read_run(path, configs)
            if isinstance(found, Run):
                runs.append(found)
            else:
                unusable.append(found)
    if not runs and not unusable:
        names = ", ".join(str(root) for root in roots)
        raise UserError(
            f"no run below {names}: a run directory holds config.yaml and results.json, "
            "as `gapfc train` writes them below outputs/train"
        )
    return Collection(roots, runs, unusable)


def find_runs(root: Path) -> Iterator[Path]:
    """Run directories at or below `root`, in name order; hidden directories are passed over."""
    with os.scandir(root) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    names = {entry.name for entry in entries}
    if RESULTS in names or "config.yaml" in names:
        yield root
        return
    for entry in entries:
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield from find_runs(Path(entry.path))


def read_run(path: Path, configs: dict[str, Mapping[str, Any]]) -> Run | Unusable:
    """Reads one run directory. `configs` remembers configurations by their group's hash.

    Runs of one group have one configuration but for the seed and paths, which nothing here reads
    from it, so a hundred seeds cost one parse of YAML.
    """
    results_path = path / RESULTS
    if not results_path.exists():
        config, _ = _read_config(path)
        return Unusable(path, "unfinished", "no results.json: running still, or killed", {}, config)
    try:
        results = read_results(path)
    except ResultsError as error:
        return Unusable(path, "broken", str(error))
    group = str(results.get("group") or "")
    if group and group in configs:
        config, problem = configs[group], None
    else:
        config, problem = _read_config(path)
    status = results["status"]
    if status != "completed":
        why = str(results.get("error") or "no reason recorded").strip().splitlines()
        return Unusable(path, status, why[-1] if why else "no reason recorded", results, config)
    if problem is not None:
        return Unusable(path, "broken", problem, results)
    if group:
        configs[group] = config
    return Run(path, results, config)


def _read_config(path: Path) -> tuple[Mapping[str, Any], str | None]:
    try:
        config = yaml.load((path / "config.yaml").read_text(encoding="utf-8"), Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = str(error).splitlines()[0]
        return {}, f"config.yaml cannot be read ({said}): what the run differs in is unknown"
    if not isinstance(config, dict):
        return {}, "config.yaml is empty: what the run differs in is unknown"
    return config, None
