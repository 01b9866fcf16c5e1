"""Files that are either old or new, whatever happens in between."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def atomic_write(path: str | Path, writer: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `writer` writes to the file it is given.

    The content is on disk before the name points to it. When anything raises, the old file is
    untouched and the temporary one is gone. Raises OSError (disk full, not writable).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def atomic_write_text(path: str | Path, text: str) -> None:
    """The same for text, as UTF-8 with the line ends it has."""
    atomic_write(path, lambda file: file.write(text.encode()))


def _sync_folder(folder: Path) -> None:
    # The rename itself is lost in a power cut until the folder is on disk too. Windows cannot
    # open a folder, and some network file systems cannot sync one.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
