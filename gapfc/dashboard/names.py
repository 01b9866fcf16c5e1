"""Short names of runs: `digits/convnet/gap s0`, plus anything else that sets them apart."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from gapfc.formatting import folder_name, printable, unique
from gapfc.records.identity import is_identity
from gapfc.records.run import NAMED, Run


def names(runs: Mapping[Path, Run], taken: Mapping[Path, str]) -> dict[Path, str]:
    """A unique name for each run, readable as a path of folders.

    Runs of the same data set, backbone and head whose overrides differ are told apart by those,
    as in `digits/convnet/gap lr=0.1 s0`; equal names are numbered, in the order of the folders.

    runs: by folder. taken: names given before, which are kept: a run someone is looking at must not
    be renamed.
    """
    settings = {folder: _settings(run) for folder, run in runs.items()}
    alike: dict[str, list[Path]] = defaultdict(list)
    for folder, run in runs.items():
        alike[_base(run)].append(folder)
    found = {folder: name for folder, name in taken.items() if folder in runs}
    for base, folders in alike.items():
        counts = Counter(setting for folder in folders for setting in set(settings[folder]))
        for folder in sorted(folders):
            if folder in found:
                continue
            differing = [_short(s) for s in settings[folder] if counts[s] < len(folders)]
            above, slash, last = base.rpartition("/")
            last = folder_name(" ".join([last, *differing]))
            name = f"{above}{slash}{last} s{printable(str(runs[folder].seed), 20)}"
            found[folder] = unique(name, found.values())
    return found


def _base(run: Run) -> str:
    parts = [run.name(part) for part in NAMED]
    return "/".join(map(folder_name, parts if run.command == "train" else [run.command, *parts]))


def _settings(run: Run) -> list[str]:
    kept = []
    for override in run.overrides:
        setting = override.lstrip("+")
        key = setting.partition("=")[0]
        if key not in NAMED and is_identity(
            key
        ):  # the others are already in the name, or change nothing
            kept.append(setting)
    return kept


def _short(setting: str) -> str:
    """`optimizer.lr=0.1` as `lr=0.1`, `source=outputs/…/20261122-s0` as `source=20261122-s0`."""
    key, equals, value = setting.partition("=")
    return folder_name(key.rpartition(".")[2] + equals + value.rstrip("/").rpartition("/")[2])
