"""A folder that holds train, validation and test rather than classes."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gapfc.data.sources.walk import entries, is_broken
from gapfc.errors import UserError
from gapfc.formatting import from_here, listed

log = logging.getLogger(__name__)

# What people call them, in lower case -> the setting that names such a folder.
SPLITS = {
    "train": "train_dir",
    "training": "train_dir",
    "val": "val_dir",
    "valid": "val_dir",
    "validation": "val_dir",
    "test": "test_dir",
    "testing": "test_dir",
}
ORDER = tuple(dict.fromkeys(SPLITS.values()))

IsImage = Callable[[str], bool]


@dataclass(frozen=True)
class _Folder:
    """A folder, seen from outside: whether images stand in it, and which folders in it have any."""

    path: Path
    has_images: bool
    below: tuple[str, ...]

    @classmethod
    def at(cls, path: Path, is_image: IsImage) -> _Folder:
        found = [entry for entry in entries(path) if entry.name[0] != "." and not is_broken(entry)]
        return cls(
            path,
            any(is_image(entry.name) for entry in found if entry.is_file()),
            tuple(
                entry.name for entry in found if entry.is_dir() and _any_image(entry.path, is_image)
            ),
        )

    @property
    def setting(self) -> str | None:
        """What it could be by its name."""
        return SPLITS.get(self.path.name.casefold())

    @property
    def holds_classes(self) -> bool:
        """As a split does, and no class: folders of images, but no image."""
        return bool(self.below) and not self.has_images


def find_splits(root: Path, is_image: IsImage) -> dict[str, Path] | None:
    """{"train_dir": root/train, …} if `root` holds splits, None if it holds classes.

    The folders in it are splits if all are called so and hold folders of images but no image; one
    without any image is passed over. A class may be called `train`: it then holds images, or stands
    beside classes. Raises UserError, naming what to type, where neither is clear.

    is_image: whether a file's name is that of an image.
    """
    paths = [
        Path(entry.path)
        for entry in entries(root)
        if entry.name[0] != "." and not is_broken(entry) and entry.is_dir()
    ]
    if len(paths) != 1 and not any(path.name.casefold() in SPLITS for path in paths):
        return None  # looking into thousands of classes would take as long as reading them
    found = [_Folder.at(path, is_image) for path in paths]
    found = [folder for folder in found if folder.has_images or folder.below]
    splits = [folder for folder in found if folder.setting and folder.holds_classes]
    others = [folder for folder in found if folder not in splits]
    splits.sort(key=lambda folder: ORDER.index(str(folder.setting)))
    if not splits:
        _check_one_level_deeper(root, found)
        if len(found) > 1 and all(folder.setting for folder in found):
            log.warning(
                "The classes of %s are called %s. If those are splits, each of them needs a folder "
                "per class.",
                root,
                _names(found),
            )
        return None
    if others:
        _check_mix(root, splits, others)
        return None
    by_setting: dict[str, Path] = {}
    for folder in splits:
        setting = str(folder.setting)
        if setting in by_setting:
            raise UserError(
                f"{root} holds both {by_setting[setting].name} and {folder.path.name}. Say which "
                f"folders to take, such as {_typed(splits)}"
            )
        by_setting[setting] = folder.path
    if "train_dir" not in by_setting:
        raise UserError(
            f"{root} holds {_names(splits)} and no train. Name the folder to train on, and these: "
            f"dataset.train_dir=<folder> {_typed(splits)}"
        )
    return by_setting


def _check_mix(root: Path, splits: list[_Folder], others: list[_Folder]) -> None:
    """A class called train may hold folders, too; but not those that stand beside it."""
    mine = set(chain.from_iterable(folder.below for folder in splits))
    theirs = {folder.path.name for folder in others}.union(*(other.below for other in others))
    if len(splits) == 1 and splits[0].setting == "train_dir" and not mine & theirs:
        return
    todo = f"name them: {_typed(splits)}"
    if not any(folder.setting == "train_dir" for folder in splits):
        todo = f"move what is trained on into {root / 'train'}"
    raise UserError(
        f"{root} holds what looks like splits ({_names(splits)}) beside what does not "
        f"({_names(others)}). If they are splits, {todo}; if they are classes, call them otherwise."
    )


def _check_one_level_deeper(root: Path, found: list[_Folder]) -> None:
    """The only folder of an unpacked archive is no class if it holds splits or classes."""
    if len(found) != 1 or not found[0].holds_classes or len(found[0].below) < 2:
        return
    inner = found[0]
    raise UserError(
        f"{root} holds one folder, {inner.path.name}, and that holds {_listed(inner.below)}. Go "
        f"one level deeper: dataset.train_dir={shlex.quote(from_here(inner.path))}"
    )


def _any_image(folder: str, is_image: IsImage) -> bool:
    """Whether there is an image anywhere below; links are not followed beyond `folder` itself."""
    return any(is_image(name) for _, _, names in os.walk(folder) for name in names)


def _typed(splits: list[_Folder]) -> str:
    named: Mapping[str, Path] = {str(folder.setting): folder.path for folder in splits}
    return " ".join(f"dataset.{key}={shlex.quote(from_here(path))}" for key, path in named.items())


def _names(folders: list[_Folder]) -> str:
    return _listed(tuple(folder.path.name for folder in folders))


def _listed(names: tuple[str, ...]) -> str:
    more = [f"{len(names) - 4} more"] if len(names) > 5 else []
    return listed([*names[: 4 if more else 5], *more])
