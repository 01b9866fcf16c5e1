"""Maps on disk, for later heads, seeds and runs: one folder an entry, made whole or not at all.

An entry holds `maps`, the raw numbers, and `entry.json`: of what they are, their shape and number
format, which rows they have, and the CRC-32 of the numbers. Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gapfc.errors import UserError
from gapfc.records.atomic import atomic_write_text
from gapfc.records.lock import Lock
from gapfc.records.stored_text import MIB, parse_json, read_text

FORMAT = 1
GIB = 2**30
MAPS, ABOUT = "maps", "entry.json"
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_MOST_ABOUT = 256 * MIB  # of entry.json: it names the place of each of some million images
_PIECE = 16 * MIB  # read at a time to check the numbers
_ENTRY = re.compile("[0-9a-f]{24}")
_MAKING = re.compile(r"\.[0-9a-f]{24}\.\d+\.tmp")
_LOCK = ".lock"
_WAIT = 0.2  # seconds between two looks whether another process is done


@dataclass(frozen=True)
class Entry:
    """One kept array of maps.

    Attributes:
        path: its folder.
        of: what the maps are of, as it was given to `Store.keep`.
        shape: of the numbers, [N, C, H, W] or [N, H, W, C].
        number: their format, float32, bfloat16 or float16.
        channels_last: whether rows are [H, W, C], and not [C, H, W].
        places: of each row's image among those that its source gave.
        bytes: of the numbers.
        crc: their CRC-32, as recorded.
        used: when it was last used, in seconds since 1970.
    """

    path: Path
    of: Mapping[str, Any]
    shape: tuple[int, ...]
    number: str
    channels_last: bool
    places: tuple[int, ...]
    bytes: int
    crc: int
    used: float

    @property
    def maps(self) -> Path:
        """The file of the raw numbers."""
        return self.path / MAPS


class Layout(NamedTuple):
    """Of the numbers that were written; see Entry."""

    shape: Sequence[int]
    number: str
    channels_last: bool
    places: Sequence[int]


class Writer:
    """Takes the numbers of a new entry, row after row."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes = self.crc = 0

    def write(self, numbers: memoryview) -> None:
        """Add contiguous bytes. Raises OSError, as for a full disk."""
        self._file.write(numbers)
        self.bytes += numbers.nbytes
        self.crc = zlib.crc32(numbers, self.crc)


class Store:
    """The entries below `root`/features, together not above `limit` bytes."""

    def __init__(self, root: Path, limit: float) -> None:
        self.folder = root / "features"
        self.limit = limit

    def find(self, of: Mapping[str, Any]) -> Entry | None:
        """The entry of just this, if there is a sound one; one that is not is removed."""
        path = self._path(of)
        if not path.exists():
            return None
        try:
            entry = _read(path)
            sound = json.loads(_text(of)) == entry.of and _crc(entry.maps) == entry.crc
        except (OSError, ValueError):
            sound = False
        if not sound:
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(entry.path / ABOUT)
        return entry

    @contextlib.contextmanager
    def alone(self, waiting: Callable[[], None], check: Callable[[], None]) -> Iterator[None]:
        """One process at a time computes maps: who comes later finds them made.

        waiting: called once if another is at work. check: called while waiting; may raise to stop.
        Raises OSError if the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        told = False
        while True:
            try:
                lock = Lock(self.folder / _LOCK)
                break
            except UserError:
                if not told:
                    waiting()
                told = True
                time.sleep(_WAIT)
                check()
        try:
            self._remove_all(_MAKING)  # of processes that were killed
            yield
        finally:
            lock.release()

    def keep(self, of: Mapping[str, Any], write: Callable[[Writer], Layout]) -> Entry:
        """Make an entry of the numbers that `write` gives to the writer it is called with.

        Raises OSError if there is no space for it; whatever `write` raises ends it. Either way
        nothing is left of it.
        """
        path = self._path(of)
        making = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        try:
            with (making / MAPS).open("wb") as file:
                writer = Writer(file)
                layout = write(writer)
            about = {"format": FORMAT, "of": of, **layout._asdict(), "crc": writer.crc}
            atomic_write_text(making / ABOUT, _text(about))
            _remove(path)
            os.replace(making, path)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        return _read(path)

    def make_room(self, needed: int) -> None:
        """Remove what was not used for longest until `needed` bytes fit under the limit.

        What is damaged, or of another version's format, goes whatever the limit is.
        """
        for path in self._named(_ENTRY):
            try:
                _read(path)
            except (OSError, ValueError):
                _remove(path)
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        total = sum(entry.bytes for entry in entries)
        for entry in entries:
            if total + needed <= self.limit:
                return
            _remove(entry.path)
            total -= entry.bytes

    def entries(self) -> list[Entry]:
        """All of them, the latest used first."""
        found = []
        for path in self._named(_ENTRY):
            with contextlib.suppress(OSError, ValueError):
                found.append(_read(path))
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def remove(self, entry: Entry) -> None:
        """Remove one of them."""
        _remove(entry.path)

    def clear(self) -> None:
        """Remove all entries, damaged ones too, and what was left half made.

        What has another name is not from here, and stays: the folder may be one of the user's.
        """
        self._remove_all(_ENTRY)
        try:
            lock = Lock(self.folder / _LOCK)
        except (OSError, UserError):  # no such folder; or a run is computing, and goes on
            return
        self._remove_all(_MAKING)
        with contextlib.suppress(OSError):
            (self.folder / _LOCK).unlink()
            self.folder.rmdir()
        lock.release()

    def _named(self, name: re.Pattern[str]) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if name.fullmatch(path.name)]

    def _remove_all(self, name: re.Pattern[str]) -> None:
        for path in self._named(name):
            _remove(path)

    def _path(self, of: Mapping[str, Any]) -> Path:
        digest = hashlib.sha256(_text({"format": FORMAT, "of": of}).encode()).hexdigest()
        return self.folder / digest[:24]


def cache_folder(configured: str | None) -> Path:
    """`cache_root`, or its default: $GAPFC_CACHE, $XDG_CACHE_HOME/gapfc, or ~/.cache/gapfc."""
    named = configured or os.environ.get("GAPFC_CACHE")
    if named:
        return Path(named).expanduser()
    # By the specification a relative path is to be ignored.
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (given if given.is_absolute() else Path("~/.cache").expanduser()) / "gapfc"


def _read(path: Path) -> Entry:
    """OSError or ValueError if its description is not one, or does not fit the file."""
    about = parse_json(read_text(path / ABOUT, _MOST_ABOUT))
    try:
        shape = tuple(about["shape"])
        number, places, crc = about["number"], tuple(about["places"]), about["crc"]
        whole = all(type(value) is int and value >= 0 for value in (*shape, *places))
        size = BYTES[number]
        for side in shape:
            size *= side
        last = about["channels_last"]
        fits = about["format"] == FORMAT and whole and len(places) == shape[0]
        fits = fits and len(shape) == 4 and isinstance(last, bool)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} is not an entry") from error
    status = os.lstat(path / MAPS)
    if not fits or status.st_size != size or not isinstance(about["of"], dict):
        raise ValueError(f"{path} is not a whole entry of this gapfc")
    used = os.stat(path / ABOUT).st_mtime
    return Entry(path, about["of"], shape, number, last, places, size, crc, used)


def _crc(maps: Path) -> int:
    crc = 0
    with maps.open("rb") as file:
        while piece := file.read(_PIECE):
            crc = zlib.crc32(piece, crc)
    return crc


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
