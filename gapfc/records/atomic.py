"""Files that are either old or new, whatever happens in between."""

import contextlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def atomic_write(
    path: str | Path, writer: Callable[[BinaryIO], object], *, follow: bool = True
) -> None:
    """Replace `path` by what `writer` writes to the file it is given.

    The content is on disk before the name points to it. When anything raises, the old file is
    untouched and the temporary one is gone. A link stays one, and a file keeps its permissions;
    what is not a file (/dev/stdout, a pipe) is written in place. Raises OSError, which names a
    file (disk full, not writable).

    follow: where the name was not typed, but comes from a stranger, give False: a link or a pipe
    that bears it is then replaced itself, and nothing elsewhere is written.
    """
    path = Path(path)
    if follow and _in_place(path):
        with path.open("wb") as file:
            writer(file)
        return
    path = Path(os.path.realpath(path)) if follow else path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            with contextlib.suppress(FileNotFoundError):
                before = os.lstat(path)
                if stat.S_ISREG(before.st_mode):
                    os.chmod(temporary, stat.S_IMODE(before.st_mode))
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    _sync_folder(path.parent)


def atomic_write_text(path: str | Path, text: str) -> None:
    """The same for text, as UTF-8 with the line ends it has."""
    atomic_write(path, lambda file: file.write(text.encode()))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; only for who owns `folder`."""
    for path in folder.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+\.tmp", path.name):
            path.unlink(missing_ok=True)


def _in_place(path: Path) -> bool:
    # /dev/stdout may be a file, to which the shell and others go on writing.
    return path.exists() and (not path.is_file() or path.parts[:2] == ("/", "dev"))


def _sync_folder(folder: Path) -> None:
    # The rename itself is lost in a power cut until the folder is on disk too. Windows cannot
    # open a folder, and some network file systems cannot sync one.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
