"""Which run directory already holds a run: the same settings, the same seed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gapfc.records.results import RESULTS, ResultsError, group_hash, read_results
from gapfc.records.run_directory import CONFIG, RunDirectory


@dataclass(frozen=True)
class Earlier:
    """A run directory of the settings that were asked for.

    Attributes:
        path: of the directory.
        status: completed, failed, interrupted, or unfinished: running still, or killed.
        error: what results.json gives as the reason, if there is one.
        data_root: that it was begun with.
    """

    path: Path
    status: str
    error: str | None
    data_root: str


def earlier_run(command: str, config: Mapping[str, Any]) -> Earlier | None:
    """The run of `config` below its output_root: a completed one, else the newest, else None.

    config: resolved, as plain containers. Runs are told apart by what `group_hash` covers and by
    the seed; how results.json says they ended does not matter to that.
    """
    folder = RunDirectory.parent(
        config["output_root"],
        command,
        *(config[part]["name"] for part in ("dataset", "backbone", "head")),
    )
    if not folder.is_dir():
        return None
    wanted = group_hash(config)
    found: list[Earlier] = []
    for path in sorted(folder.iterdir()):
        seed = re.search(r"-s(-?\d+)(-\d+)?$", path.name)
        if seed is None or int(seed[1]) != config["seed"]:
            continue
        theirs = _config(path)
        if theirs is not None and group_hash(theirs) == wanted:
            found.append(Earlier(path, *_ending(path), str(theirs.get("data_root"))))
    completed = [run for run in found if run.status == "completed"]
    best = completed or found
    return best[-1] if best else None


def _config(path: Path) -> dict[str, Any] | None:
    try:
        config = OmegaConf.to_container(OmegaConf.load(path / CONFIG))
    except (OSError, ValueError, OmegaConfBaseException):
        return None  # no run yet, or none that could be told to be the same
    return cast(dict[str, Any], config) if isinstance(config, dict) else None


def _ending(path: Path) -> tuple[str, str | None]:
    if not (path / RESULTS).exists():
        return "unfinished", None
    try:
        results = read_results(path)
    except ResultsError as error:
        return "unfinished", str(error)
    return results["status"], results["error"]
