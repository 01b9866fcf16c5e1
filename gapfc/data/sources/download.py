"""Find a data set under the data root, or download it whole."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from tarfile import TarError
from typing import TypeVar
from zipfile import BadZipFile

from gapfc.errors import UserError

log = logging.getLogger(__name__)

# What torchvision raises for files that are missing, truncated or not what they should be.
BROKEN = (
    RuntimeError, OSError, ValueError, AssertionError, EOFError, BadZipFile, TarError
)  # fmt: skip

Result = TypeVar("Result")


def find_or_download(
    name: str, data_root: Path, folder: str, read: Callable[[Path, bool], Result]
) -> Result:
    """`read(data_root, False)`; if that finds nothing, again after a download.

    read(root, download) reads the set from `root`/`folder`, and raises one of BROKEN if it is
    missing or incomplete. A download goes to a separate folder and is moved into place once it is
    complete and its checksums match, so that none is ever left half done.
    Raises UserError saying what to put where.
    """
    target = data_root / folder
    if target.is_dir():  # asked first: some of torchvision's readers make their folder
        with contextlib.suppress(*BROKEN):
            return read(data_root, False)
    log.info("%s is not in %s: downloading it", name, data_root)
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=f".download-{name}-", dir=data_root))
        try:
            with contextlib.redirect_stdout(sys.stderr):
                read(workplace, True)
            _move(workplace / folder, target)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
        return read(data_root, False)
    except BROKEN as error:
        reason = str(error).strip().split("\n")[0].rstrip(" :") or type(error).__name__
        raise UserError(
            f"dataset={name} is missing or incomplete in {target.absolute()}, and downloading it "
            f"failed ({reason}).\nPut torchvision's {folder}/ folder there, or set data_root=<the "
            "folder that holds it>, or run on a machine with network access."
        ) from error


def _move(source: Path, target: Path) -> None:
    """Move the files of `source` into `target`, replacing files of the same name."""
    for folder, _, names in os.walk(source):
        place = target / Path(folder).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(Path(folder) / name, place / name)
