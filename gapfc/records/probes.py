"""probes.json and probes.npz: what probes measured of a trained model, beside its results.json.

probes.json is `{"schema": 1, "gapfc": …, "data": {…}, "probe": {"shift": {"zero": {"4":
{"accuracy": …}}}}}`: the metric `probe.shift.zero.4.accuracy`. probes.npz holds, for every metric
that is a mean over images of yes or no, what each image said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gapfc
from gapfc.formatting import printable
from gapfc.records.atomic import atomic_write_text
from gapfc.records.npz import read_npz, write_npz
from gapfc.records.results import finite
from gapfc.records.stored_text import MIB, parse_json, read_text

STEM = "probes"  # of images other than the run's own: `probes-<their name>`
PROBES, IMAGES = f"{STEM}.json", f"{STEM}.npz"
SCHEMA = 1
MOST = 16 * MIB
INDEX, CLEAN = "index", "clean.accuracy"


@dataclass(frozen=True)
class Probes:
    """All that probes have found of one run.

    Attributes:
        data: which images: `{"name": …, "split": …, "images": N}`.
        values: by probe, then nested by condition; leaves are numbers, or None.
        index: int64 [N], each image's place in the data set as stored.
        yes: by metric without `probe.` (`shift.zero.4.accuracy`, `clean.accuracy`, …): bool [D, N],
            for the D variants (directions) whose mean the metric is.
    """

    data: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    index: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    yes: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def per_image(self, metric: str) -> NDArray[np.float64] | None:
        """What each image adds to `metric` (without `probe.`), [N], so that its mean is the metric.

        `….drop` is clean.accuracy minus `….accuracy`. None where images do not say it alone.
        """
        if metric in self.yes:
            return np.asarray(self.yes[metric].mean(0, dtype=np.float64))
        condition, _, last = metric.rpartition(".")
        if last == "drop" and f"{condition}.accuracy" in self.yes and CLEAN in self.yes:
            clean, shifted = self.yes[CLEAN], self.yes[f"{condition}.accuracy"]
            return np.asarray(clean.mean(0, dtype=np.float64) - shifted.mean(0, dtype=np.float64))
        return None


def write_probes(folder: Path, probes: Probes, stem: str = STEM) -> None:
    """Write `stem`.json and .npz in `folder`, each atomically. Raises OSError.

    `probes.data` says how many images, as `index` has them.
    """
    content = {
        "schema": SCHEMA,
        "gapfc": gapfc.__version__,
        "data": probes.data,
        "probe": probes.values,
    }
    packed = {name: np.packbits(bits, axis=1) for name, bits in probes.yes.items()}
    # The arrays first: a reader that finds the numbers finds the images too.
    write_npz(folder / f"{stem}.npz", {INDEX: probes.index, **packed})
    text = json.dumps(finite(content), indent=2, allow_nan=False) + "\n"
    atomic_write_text(folder / f"{stem}.json", text)


def probe_files(folder: Path) -> list[Path]:
    """What probes have left in `folder`, of all images that they measured."""
    return [file for kind in ("json", "npz") for file in folder.glob(f"{STEM}*.{kind}")]


def read_values(folder: Path) -> dict[str, Any]:
    """The numbers alone, nested as in probes.json below `probe`; empty if there is no such file.

    Those of other images, in probes-<name>.json, stand below <name>. Raises OSError, or ValueError
    saying what is wrong.
    """
    values = dict(_content(folder).get("probe", {}))
    for file in sorted(folder.glob(f"{STEM}-*.json")):
        values[file.stem.removeprefix(f"{STEM}-")] = _content(folder, file.stem).get("probe", {})
    return values


def place_of(folder: Path, metric: str) -> tuple[str, str]:
    """Where per-image values of `metric` (without `probe.`) are: stem, and its name there."""
    name, _, rest = metric.partition(".")
    stem = f"{STEM}-{name}"
    return (stem, rest) if (folder / f"{stem}.json").is_file() else (STEM, metric)


def missing_probes(folder: Path, asked: Iterable[object]) -> list[str]:
    """Which of the probes `asked` probes.json lacks; all of them where it cannot be read."""
    try:
        there = read_values(folder)
    except (OSError, ValueError):
        there = {}
    return [str(name) for name in asked if name not in there]


def read_probes(folder: Path, stem: str = STEM) -> Probes:
    """All of it. Raises OSError (FileNotFoundError without probes), or ValueError saying why."""
    content, images = _content(folder, stem), f"{stem}.npz"
    if not content:
        raise FileNotFoundError(folder / f"{stem}.json")
    arrays = read_npz(folder / images)
    index = arrays.pop(INDEX, None)
    if index is None or index.dtype != np.int64 or index.ndim != 1 or not len(index):
        raise ValueError(f"{images} does not say which images it is of")
    if index.min() < 0 or len(np.unique(index)) != len(index):
        raise ValueError(f"{images} has an image twice, or none that can be")
    if content["data"].get("images", len(index)) != len(index):
        raise ValueError(f"{stem}.json and {images} are not of the same images")
    yes = {}
    for name, packed in arrays.items():
        columns = -(-len(index) // 8)
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != columns:
            raise ValueError(f"{images}: {printable(name)} is not of {len(index)} images")
        if not len(packed):
            raise ValueError(f"{images}: {printable(name)} is empty")
        yes[name] = np.unpackbits(packed, axis=1, count=len(index)).view(bool)
    return Probes(dict(content["data"]), dict(content["probe"]), index, yes)


def _content(folder: Path, stem: str = STEM) -> dict[str, Any]:
    name = f"{stem}.json"
    try:
        content = parse_json(read_text(folder / name, MOST))
    except FileNotFoundError:
        return {}
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ValueError(f"{name} is not of this gapfc")
    if not all(isinstance(content.get(key), Mapping) for key in ("data", "probe")):
        raise ValueError(f"{name} holds no probes")
    return content
