"""The folder of one run: the only contract between training and everything after it."""

import json
import re
import shutil
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gapfc.errors import UserError
from gapfc.formatting import LONGEST_NAME
from gapfc.records.atomic import atomic_write_text, remove_leftovers
from gapfc.records.lock import Lock
from gapfc.records.metrics_csv import METRICS
from gapfc.records.results import RESULTS, finite, validate_results

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
OWN_FILES = re.compile(
    r"config\.yaml|metrics\.csv|results\.json|run\.log|predictions\.npz|probes.*\.(json|npz)"
)


class RunDirectory:
    """A run's folder, owned for writing; `gapfc.records.run` reads it.

    Owning is exclusive between processes, and a new run always gets a folder of its own, so a
    finished run can only be continued, never overwritten.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        """For the class methods; path: an existing folder."""
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, command: str, config: Mapping[str, Any]) -> "RunDirectory":
        """Make `<output_root>/<command>/<dataset>/<backbone>/<head>/<when>-s<seed>` for `config`.

        Runs started in the same second get `-2`, `-3`, ...: making the folder is what decides, so
        two processes never share one. UserError if `output_root` cannot be written.
        """
        parent = parent_folder(config["output_root"], command, config)
        made: Path | None = None
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-s{config['seed']}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            count = 1
            while True:
                path = parent / (stem if count == 1 else f"{stem}-{count}")
                try:
                    path.mkdir()
                    made = path
                    break
                except FileExistsError:
                    count += 1
            directory = cls(path.resolve(), Lock(path / ".lock"))
            directory.checkpoints.mkdir()
        except OSError as error:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)
            raise UserError(
                f"No run directory can be made in {parent}: {error.strerror or error}. "
                "Set output_root to a folder that you may write to."
            ) from error
        return directory

    @classmethod
    def resume(cls, path: Path) -> "RunDirectory":
        """An existing run, to be continued; UserError if it is at work, or has links in it."""
        _check_own_files(path)
        try:
            directory = cls(path, Lock(path / ".lock"))
            directory.checkpoints.mkdir(exist_ok=True)
            for folder in (directory.path, directory.checkpoints):
                remove_leftovers(folder)
        except OSError as error:
            raise UserError(
                f"{path} cannot be written: {error.strerror or error}. A run is "
                "resumed in its own folder, which must be writable."
            ) from error
        return directory

    @property
    def checkpoints(self) -> Path:
        """The folder of last.pt and best.pt."""
        return self.path / CHECKPOINTS

    def write_config(self, typed: str, yaml: str) -> None:
        """Write config.yaml, which is what makes the folder a run directory.

        typed: the command as it was typed, which becomes the file's first line, a comment.
        UserError if that fails, which leaves no new folder.
        """
        config = self.path / CONFIG
        try:
            atomic_write_text(config, f"# {typed}\n{yaml}")
        except OSError as error:
            self.close()
            if not config.exists():
                shutil.rmtree(self.path, ignore_errors=True)
            raise UserError(
                f"{config} cannot be written: {error.strerror}. Make space, or set output_root to "
                "a folder that you may write to."
            ) from error

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write results.json, valid schema 1; numbers that are not finite become null."""
        results = finite(results)
        validate_results(results)
        text = json.dumps(results, indent=2, allow_nan=False) + "\n"
        atomic_write_text(self.path / RESULTS, text)

    @property
    def metrics(self) -> Path:
        """metrics.csv, which `gapfc.records.metrics_csv` writes and reads."""
        return self.path / METRICS

    def close(self) -> None:
        """Give up ownership; harmless when done twice."""
        self._lock.release()


def check_not_of_run(path: Path) -> None:
    """UserError if `path` is a file of a run's own: no table or page may be written over it."""
    if OWN_FILES.fullmatch(path.name) and (path.parent / CONFIG).exists() and path.exists():
        raise UserError(f"{path} belongs to the run in that folder: give another name")


def _check_own_files(path: Path) -> None:
    """A link in a stranger's run would lead the writing to a file of the user's."""
    for folder in (path, path / CHECKPOINTS):
        for entry in folder.iterdir() if folder.is_dir() else ():
            mode = entry.lstat().st_mode
            if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                raise UserError(
                    f"{entry} is a link or a pipe: a run is resumed only with files of its own. "
                    "Put the file itself there, or remove the link."
                )


def parent_folder(output_root: str | Path, command: str, config: Mapping[str, Any]) -> Path:
    """The folder in which the runs of `config`'s dataset, backbone and head are made."""
    names = (command, *(config[part]["name"] for part in ("dataset", "backbone", "head")))
    return Path(output_root).expanduser().joinpath(*map(_safe, names))


def _safe(name: str) -> str:
    """A name as one path component on any system: no separator, nothing hidden, never empty."""
    return re.sub(r"[^A-Za-z0-9._+=-]+", "-", str(name))[:LONGEST_NAME].strip("-.") or "unnamed"
