"""A run as recorded in its directory: the one reader for all that comes after training."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gapfc.errors import UserError
from gapfc.formatting import first_line, plural
from gapfc.records.identity import is_same_group
from gapfc.records.renamed_targets import with_present_targets
from gapfc.records.results import RESULTS, ResultsError, read_results
from gapfc.records.run_directory import CHECKPOINTS, CONFIG, parent_folder
from gapfc.records.stored_text import MIB, parse_yaml, read_text
from gapfc.validators import is_whole

Config = dict[str, Any]
NAMED = ("dataset", "backbone", "head")
MOST = MIB  # bytes of a config.yaml


@dataclass(frozen=True)
class Run:
    """The content of a run directory. Nothing in it is trusted to be correct, or to exist.

    Attributes:
        path: of the directory.
        status: completed, failed or interrupted, as results.json says; unfinished without one
            (still running, or killed); broken if a file cannot be read.
        reason: why it is not completed, in one line; None if it is.
        command: that was typed: train or transfer; empty if unknown.
        overrides: that were typed behind it, such as `head=gap`.
        results: of results.json; empty without one.
        config: of config.yaml, resolved, with `_target_`s as they are called today; empty if it
            cannot be read.
    """

    path: Path
    status: str
    reason: str | None = None
    command: str = ""
    overrides: tuple[str, ...] = ()
    results: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def completed(self) -> bool:
        """Whether it came to its end."""
        return self.status == "completed"

    @property
    def seed(self) -> int:
        """The seed, by which runs of two groups are paired. Raises KeyError if it is not known.

        From results.json first: the config may be that of another run of the same group.
        """
        return int(self.results["seed"] if self.results else self.config["seed"])

    def name(self, part: str) -> str:
        """The name of its dataset, backbone or head. Raises KeyError if it is not known."""
        return str(self.results[part] if self.results else self.config[part]["name"])

    @property
    def accuracy(self) -> tuple[str, float] | None:
        """Of the images that judge it, test or else validation: which, and the share, if known."""
        for split, named in (("test", "test"), ("val", "validation")):
            found = (self.results.get(split) or {}).get("accuracy")
            if isinstance(found, int | float):
                return named, float(found)
        return None

    @property
    def in_short(self) -> str:
        """What tells it from others: head, data set, accuracy, epochs; of these, what is known."""
        said = [str(self.results[part]) for part in ("head", "dataset") if part in self.results]
        if self.accuracy is not None:
            said.append(f"{self.accuracy[0]} {self.accuracy[1]:.1%}")
        epochs = self.results.get("epochs")
        if isinstance(epochs, int):
            said.append(plural(epochs, "epoch"))
        return " · ".join(said)

    @property
    def checkpoints(self) -> Path:
        """The folder of last.pt and best.pt."""
        return self.path / CHECKPOINTS

    @property
    def when(self) -> tuple[str, float]:
        """Sorts runs by age: the directory's name starts with its time, which copying keeps."""
        return self.path.name, (self.path / RESULTS).stat().st_mtime


def find_runs(root: Path) -> Iterator[Path]:
    """Run directories at or below `root`, in name order; hidden directories are skipped.

    A directory that cannot be read, or no longer exists, is skipped too: runs come and go during
    the search.
    """
    try:
        with os.scandir(root) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError:
        return
    if {RESULTS, CONFIG} & {entry.name for entry in entries}:
        yield root
        return
    for entry in entries:
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield from find_runs(Path(entry.path))


def read_run(path: Path, configs: dict[str, Config] | None = None) -> Run:
    """The run in `path`; anything wrong with it is in its `status` and `reason`.

    configs: what was read so far by text but for the seed, kept from call to call. Runs of a group
    differ in no more, so a hundred seeds cost one parse of YAML. (The seed is then another's: that
    of a run which has results is read there.)
    """
    results: dict[str, Any] = {}
    broken = None
    try:
        results = read_results(path) if (path / RESULTS).exists() else {}
    except ResultsError as error:
        broken = str(error)
    typed: tuple[str, tuple[str, ...]] = ("", ())
    config: Config = {}
    try:
        text = read_text(path / CONFIG, MOST)
        first, _, rest = text.partition("\n")
        typed, settings = _typed(first), rest if first.startswith("#") else text
        shared = re.sub(r"^seed: \d+$", "", settings, count=1, flags=re.MULTILINE)
        if configs is None or not results:
            config = parse_config(settings)
        else:
            config = configs[shared] if shared in configs else parse_config(settings)
            configs[shared] = config
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else first_line(str(error))
        broken = broken or f"{CONFIG} cannot be read ({said})"
    if results:
        overrides = results.get("overrides")
        typed = (
            results["command"],
            tuple(map(str, overrides if isinstance(overrides, list) else ())),
        )
    status: str = results.get("status", "unfinished")
    reason: str | None = f"no {RESULTS}: still running, or killed"
    if results:
        lines = (str(results["error"] or "").strip() or "no reason recorded").splitlines()
        reason = None if status == "completed" else lines[-1]
    # A run that failed before its config could be written says so itself.
    if broken and status in ("completed", "unfinished"):
        status, reason = "broken", broken
    return Run(path, status, reason, *typed, results, config)


def open_run(path: str | Path) -> Run:
    """The run at `path`, as a user named it.

    Raises:
        UserError: where there is none, or its config.yaml cannot be read.
    """
    folder = Path(path).expanduser()
    if not folder.exists():
        raise UserError(f"{folder} does not exist: give the path of a run directory.")
    if not (folder / CONFIG).is_file():
        raise UserError(
            f"{folder} is not a run directory (it has no {CONFIG}): give the folder that "
            "holds config.yaml and metrics.csv, as printed at the start and end of a run."
        )
    run = read_run(folder.resolve())
    if not run.config:
        raise UserError(f"{folder}: {run.reason}")
    if not is_config_of_run(run.config):
        raise UserError(f"{folder}: {CONFIG} is not of a run: it lacks what gapfc writes there.")
    return run


def open_newest(path: str | Path) -> Run:
    """The run at `path`; where that is a folder of runs, the newest completed one in it.

    Raises:
        UserError: as `open_run`; or if no run in the folder was completed.
    """
    folder = Path(path).expanduser()
    if (folder / CONFIG).is_file():
        return open_run(folder)
    newest = sorted(find_runs(folder), key=lambda found: found.name, reverse=True)
    if not newest:
        return open_run(folder)  # which says what is wrong with it
    for found in newest:
        run = read_run(found.resolve())
        if run.completed and is_config_of_run(run.config):
            return run
    raise UserError(f"{folder} holds {plural(len(newest), 'run')}, none of them completed.")


def is_config_of_run(config: Mapping[str, Any]) -> bool:
    """Whether `config` has what every run's has: named parts, a trainer and a seed."""
    parts = [config.get(part) for part in (*NAMED, "trainer")]
    named = all(isinstance(part, dict) and (part.get("name") or "epochs" in part) for part in parts)
    return named and is_whole(config.get("seed"))


def runs_of(command: str, config: Mapping[str, Any], besides: Iterable[str] = ()) -> list[Run]:
    """The runs of `config` and its seed below its output_root, oldest first.

    config: resolved, as plain containers. Runs are told apart by their identity and seed, whatever
    results.json says; besides: further keys that may differ.
    """
    folder = parent_folder(config["output_root"], command, config)
    if not folder.is_dir():
        return []
    wanted = _without(config, besides)
    found = []
    for path in sorted(folder.iterdir()):
        seed = re.search(r"-s(-?\d+)(-\d+)?$", path.name)
        if seed is None or int(seed[1]) != config["seed"]:
            continue
        run = read_run(path)
        if run.config and is_same_group(wanted, _without(run.config, besides)):
            found.append(run)
    return found


def earlier_run(command: str, config: Mapping[str, Any]) -> Run | None:
    """A completed run of `runs_of`, else the newest, else None."""
    found = runs_of(command, config)
    best = [run for run in found if run.completed] or found
    return best[-1] if best else None


def parse_config(text: str) -> Config:
    """The content of a config.yaml, with `_target_`s as they are called today.

    Raises ValueError if it is not YAML, or holds no settings.
    """
    config = parse_yaml(text)
    if not isinstance(config, dict):
        raise ValueError("it holds no settings")
    present: Config = with_present_targets(config)
    return present


def _typed(line: str) -> tuple[str, tuple[str, ...]]:
    """The command and the overrides in the first line of a config.yaml, a comment."""
    try:
        _, command, *overrides = shlex.split(line.removeprefix("#"))
    except ValueError:
        return "", ()
    return command, tuple(overrides)


def _without(config: Mapping[str, Any], keys: Iterable[str]) -> Config:
    dropped = set(keys)
    return {key: value for key, value in config.items() if key not in dropped}
