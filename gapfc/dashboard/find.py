"""Folders that TensorBoard can show: runs, and the margins that a sweep writes when it ends."""

import os
from collections.abc import Iterator
from pathlib import Path

from gapfc.records.run import NAMED, Run, read_run
from gapfc.records.run_directory import CONFIG
from gapfc.tensorboard.margins import FOLDER as MARGINS

EVENTS = "events.out.tfevents."


def event_folders(root: Path) -> Iterator[Path]:
    """Every folder at or below `root` that holds TensorBoard events; hidden ones are skipped.

    A folder that cannot be read, or no longer exists, is skipped too: runs come and go during the
    search.
    """
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if any(name.startswith(EVENTS) for name in files):
            yield Path(folder)
        if CONFIG in files:
            subfolders.clear()


def known_run(folder: Path) -> Run | None:
    """The run in `folder`; None if it is not a run, or does not say what it is."""
    run = read_run(folder)
    try:
        names = [run.name(part) for part in NAMED]
        return run if run.command and names and run.seed is not None else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def margins_of(folder: Path) -> tuple[str, str] | None:
    """Names of the section and of the group, if `folder` holds the margins of one."""
    folder = folder.resolve()
    if folder.parent.parent.name != MARGINS:
        return None
    return folder.parent.name, folder.name
