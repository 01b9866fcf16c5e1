"""Folders that TensorBoard can show: runs, and the margins that `gapfc compare --out` writes."""

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gapfc.records.results import RESULTS
from gapfc.records.run_directory import CONFIG
from gapfc.tensorboard.margins import FOLDER as MARGINS

EVENTS = "events.out.tfevents."


@dataclass(frozen=True)
class Run:
    """What a run is called by. overrides: as typed, `key=value`."""

    command: str
    dataset: str
    backbone: str
    head: str
    seed: int
    overrides: tuple[str, ...]


def event_folders(root: Path) -> Iterator[Path]:
    """Every folder at or below `root` that holds TensorBoard events; hidden ones are passed over.

    A folder that cannot be read, or is gone by now, is passed over as well: runs come and go
    while this looks.
    """
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if any(name.startswith(EVENTS) for name in files):
            yield Path(folder)
        if CONFIG in files:
            subfolders.clear()


def identify(folder: Path) -> Run | None:
    """The run in `folder`; None if it is none, or not one that says what it is."""
    try:
        return _from_results(folder)
    except (OSError, ValueError, KeyError, TypeError):
        # Not ended yet, or killed: the slower way to the same.
        try:
            return _from_config(folder)
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            return None


def margins_of(folder: Path) -> tuple[str, str] | None:
    """Name of the comparison and of the group, if `folder` holds the margins of one."""
    folder = folder.resolve()
    if folder.parent.name != MARGINS:
        return None
    return folder.parent.parent.name, folder.name


def _from_results(folder: Path) -> Run:
    return _run(json.loads((folder / RESULTS).read_text(encoding="utf-8")))


def _from_config(folder: Path) -> Run:
    text = (folder / CONFIG).read_text(encoding="utf-8")
    config = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    _, command, *overrides = shlex.split(text.partition("\n")[0].removeprefix("#"))
    names = {group: config[group]["name"] for group in ("dataset", "backbone", "head")}
    return _run({"command": command, "seed": config["seed"], "overrides": overrides, **names})


def _run(fields: dict[str, Any]) -> Run:
    return Run(
        command=str(fields["command"]),
        dataset=str(fields["dataset"]),
        backbone=str(fields["backbone"]),
        head=str(fields["head"]),
        seed=int(fields["seed"]),
        overrides=tuple(fields.get("overrides") or ()),
    )
