"""Whether images are some that a run was trained on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gapfc.data.sources.locate import DIRS, FOLDER, locate
from gapfc.data.sources.split_folders import SPLITS
from gapfc.errors import UserError


def trained_on(config: Mapping[str, Any], classes: Iterable[str], paths: Iterable[str]) -> bool:
    """Whether files of `paths` lie where the run of `config` had its training images.

    Which images of a folder it held out is not asked: where there are these, there are others.

    config: of a run; classes: their names. Only of dataset=folder it is known where images are.
    """
    dataset = config.get("dataset") or {}
    if dataset.get("_target_") != FOLDER:
        return False
    root = Path(str(config.get("data_root")))
    train, *others = (_places(dataset.get(key), root) for key in DIRS)
    # Validation and test images in a train_dir that holds splits; a class may be called so, too.
    splits = {name for name, key in SPLITS.items() if key != DIRS[0]}
    splits -= {name.casefold() for name in classes}

    def among_trained(place: Path) -> bool:
        if any(place.is_relative_to(other) for places in others for other in places):
            return False
        below = [place.relative_to(one).parts for one in train if place.is_relative_to(one)]
        return any(not (parts and parts[0].casefold() in splits) for parts in below)

    folders = {os.path.dirname(path) for path in paths}
    return any(among_trained(place) for folder in folders for place in _names(folder))


def _places(path: object, root: Path) -> list[Path]:
    """A folder that a setting names; nothing if it is not there."""
    if path is None:
        return []
    try:
        return _names(locate(str(path), root, ""))
    except (UserError, RuntimeError):  # RuntimeError: ~somebody who is not known here
        return []


def _names(folder: str | Path) -> list[Path]:
    """A folder by the name it is given, and by the one without links."""
    return [Path(os.path.abspath(folder)), Path(os.path.realpath(folder))]
