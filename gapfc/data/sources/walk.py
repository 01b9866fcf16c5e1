"""The files below the folders of classes, through links, each folder entered once."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from gapfc.errors import UserError
from gapfc.formatting import plural

log = logging.getLogger(__name__)

Identity = tuple[int, int]  # device and inode: the same for a folder and all links to it
Owner = tuple[str, Path]  # a setting (train_dir, val_dir, test_dir) and the folder of a class


class Walk:
    """One reading of a data set: of every class of all `roots` (train, val and test).

    A link to a folder that was already read, or that holds the data set, is not entered, else
    `ln -s .. class/up` would read every class as this one.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = [os.path.realpath(root) for root in roots]
        self._above = {
            _identity(place) for root in self._roots for place in (Path(root), *Path(root).parents)
        }
        self._read: dict[Identity, tuple[Owner, str]] = {}  # and its path
        self._out: list[str] = []
        self._again: list[str] = []
        self._broken: list[str] = []

    def files(self, setting: str, folder: Path) -> list[str]:
        """All files below `folder`, a class of the dir that `setting` gives, and behind its links.

        Raises UserError for a folder that cannot be read, and one that another class or another
        dir holds as well: its images would have two labels, or be both trained on and judged by.
        """
        files: list[str] = []
        places = [str(folder)]
        links: list[str] = []  # entered last, so that a folder is known by its own path
        if folder.is_symlink():
            self._note_way_out(str(folder))
        while places or links:
            linked = not places
            place = (places or links).pop()
            if not self._enter(place, (setting, folder), linked):
                continue
            for entry in entries(place):
                if is_broken(entry):
                    self._broken.append(entry.path)
                    files.append(entry.path)  # an image is then named as unreadable
                    continue
                if entry.is_symlink():
                    self._note_way_out(entry.path)
                if entry.is_dir():
                    (links if entry.is_symlink() else places).append(entry.path)
                else:
                    files.append(entry.path)
        return files

    def report(self) -> None:
        """Say which links were followed out of the data set, and which were not followed."""
        if self._out:
            log.info("Followed %s out of the data set: %s", *_some(self._out))
        if self._again:
            log.warning("Left out %s to folders that are read already: %s", *_some(self._again))
        if self._broken:
            log.warning("Found %s that lead nowhere: %s", *_some(self._broken))

    def _enter(self, place: str, owner: Owner, linked: bool) -> bool:
        """Whether `place`, found below the class folder `owner`, is to be read."""
        identity = _identity(place)
        if identity in self._above:
            if not linked:
                raise UserError(
                    f"{place} is in a class, but holds what dataset.{owner[0]} or another dir of "
                    "the data set names: its images would be read twice. Name dirs side by side."
                )
            self._again.append(place)
            return False
        if identity not in self._read:
            self._read[identity] = (owner, place)
            return True
        earlier, path = self._read[identity]
        if earlier == owner:
            self._again.append(place)
            return False
        if earlier[0] == owner[0]:
            raise UserError(
                f"{place} and {path} are the same folder, in two classes: its images would have "
                "two labels. Remove the one that is a link."
            )
        raise UserError(
            f"{place} is in both dataset.{earlier[0]} and dataset.{owner[0]}: images that are "
            "trained on cannot also judge. Name separate folders, or leave "
            f"dataset.{owner[0]} out: images of train_dir are then held out."
        )

    def _note_way_out(self, link: str) -> None:
        target = os.path.realpath(link)
        if not any(target == root or target.startswith(root + os.sep) for root in self._roots):
            self._out.append(link)


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What stands in `folder`, by name. Raises UserError if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}.") from error


def is_broken(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to nothing, to itself, or to where one may not look."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError:
        return True
    return False


def _identity(place: str | Path) -> Identity:
    found = os.stat(place)
    return found.st_dev, found.st_ino


def _some(links: list[str]) -> tuple[str, str]:
    more = f" and {len(links) - 1} more" if len(links) > 1 else ""
    return plural(len(links), "link"), f"{links[0]}{more}"
