"""Arrays in a run directory: numpy's own format, in which nothing is ever executed."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gapfc.formatting import first_line, printable
from gapfc.records.atomic import atomic_write
from gapfc.records.stored_text import MIB, read_bytes

MOST = 64 * MIB  # bytes, of the file and of what it unfolds to: predictions of two million images

Array = NDArray[Any]


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write `arrays` of numbers by name to `path`, compressed, atomically. Raises OSError."""
    buffer = io.BytesIO()
    # As np.savez_compressed, in which an array can't be called `file`.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                npy.write_array(member, array, version=(1, 0), allow_pickle=False)
    atomic_write(path, lambda file: file.write(buffer.getvalue()))


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of numbers in `path` by name. Raises OSError, or ValueError saying why not."""
    content = read_bytes(path, MOST)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _arrays(archive)
    # What zipfile, zlib and numpy raise for bytes that are not an archive of arrays.
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise ValueError(printable(first_line(str(error))) or "it is damaged") from error


def _arrays(archive: zipfile.ZipFile) -> dict[str, Array]:
    members = archive.infolist()
    # Of others zipfile unfolds all at once, whatever size they claim.
    if any(m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for m in members):
        raise ValueError("it is compressed as gapfc does not")
    if sum(member.file_size for member in members) > MOST:
        raise ValueError(f"it unfolds to more than {MOST // MIB} MiB")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it has an array twice")
    found = {}
    for member in members:
        with archive.open(member) as file:
            # Told how much, zipfile unfolds no more than that.
            content = file.read(member.file_size)
        found[member.filename.removesuffix(".npy")] = _array(content)
    return found


def _array(content: bytes) -> Array:
    """As np.load gives it, which would take memory for any shape before it sees that data lack."""
    file = io.BytesIO(content)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("it has an array of a kind that gapfc does not write")
    shape, by_columns, kind = npy.read_array_header_1_0(file)
    data = content[file.tell() :]
    if kind.kind not in "iuf" or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError("it has an array of other things than numbers, or not all of one")
    order: Any = "F" if by_columns else "C"
    return np.ndarray(shape, kind, data, order=order).copy()
