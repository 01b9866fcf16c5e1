"""Arrays in a run directory: numpy's own format, in which nothing is ever executed."""

import io
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapfc.records.atomic import atomic_write
from gapfc.records.stored_text import MIB

MOST = 256 * MIB  # bytes, of the file and of what it unfolds to

Array = NDArray[Any]


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write `arrays` by name to `path`, compressed, atomically. Raises OSError."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict[str, Any](arrays))
    atomic_write(path, lambda file: file.write(buffer.getvalue()))


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays in `path` by name; no pickles. Raises OSError, or ValueError saying why not."""
    # O_NONBLOCK: opening a named pipe would otherwise wait until someone writes to it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("it is not a regular file")
        if state.st_size > MOST:
            raise ValueError(f"it is larger than {MOST // MIB} MiB")
        content = file.read()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST:
                raise ValueError(f"it unfolds to more than {MOST // MIB} MiB")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    # What zipfile, zlib and numpy raise for bytes that are not an archive of arrays.
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise ValueError(str(error).splitlines()[0] if str(error) else "it is damaged") from error
