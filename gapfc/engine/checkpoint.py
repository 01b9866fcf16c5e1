"""Checkpoints on disk: written atomically, and read without executing any code in them.

They are zip files, in which `torch.save` has a CRC-32 of each member. `torch.load` ignores it, so
it is checked here: otherwise a flipped bit would become another weight.
"""

import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gapfc.errors import UserError
from gapfc.records.atomic import atomic_write

log = logging.getLogger(__name__)

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"
FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings and containers of them) to `path`, atomically."""
    atomic_write(path, lambda file: torch.save({"format": FORMAT, **state}, file))


def save_last(folder: Path, state: dict[str, Any]) -> None:
    """Write `last.pt` in `folder`; the previous one is kept as `previous.pt`."""
    last = folder / LAST
    if last.exists():
        os.replace(last, folder / PREVIOUS)
    save(last, state)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU: `model`, tensors by name, and whatever else it holds.

    Raises:
        UserError: if it is missing, damaged, or not a gapfc checkpoint.
    """
    if not path.exists():
        raise UserError(f"There is no checkpoint {path}")
    try:
        # A pipe or a device would be waited for, for ever.
        if not path.is_file():
            raise ValueError("it is not a file")
        _check_members(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # anything that unpickling raises for bytes that are not a pickle
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged or not a checkpoint: {reason[:120]}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or "model" not in state:
        raise UserError(f"{path} is not a gapfc checkpoint (of format {FORMAT})")
    model = state["model"]
    if not isinstance(model, dict) or not all(
        isinstance(name, str)
        and isinstance(value, Tensor)
        and (value.layout, value.device.type) == (torch.strided, "cpu")  # meta: without content
        for name, value in model.items()
    ):
        raise UserError(f"{path} is not a gapfc checkpoint: its model is not tensors by name")
    return state


def load_last(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Read `last.pt`, or `previous.pt` with a warning if the last can't be read.

    Returns its path and content; None if there is neither.

    Raises:
        UserError: if there is one and none can be read.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if not last.exists() and not previous.exists():
        return None
    try:
        return last, load(last)
    except UserError as error:
        try:
            state = load(previous)
        except UserError:
            raise error from None
        log.warning("%s. Continuing from %s, the one before.", error, previous)
        return previous, state


def make_last(path: Path) -> None:
    """Make the checkpoint that `load_last` read the last one.

    Else the next one would keep the damaged one and drop the one that was read.
    """
    if path.name != LAST:
        os.replace(path, path.with_name(LAST))


def _check_members(path: Path) -> None:
    """Raise what zipfile does, or ValueError, if a byte that counts is not as `save` wrote it."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        # Compressed members may be a million times as large as the file. And a bit in the
        # attributes makes torch take a member for a folder, and read nothing from it.
        if any(m.compress_type != zipfile.ZIP_STORED or m.external_attr for m in members):
            raise ValueError("it has members that gapfc does not write")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its members claim to be larger than the file")
        broken = archive.testzip()
    if broken is not None:
        raise ValueError(f"the checksum of {broken} is wrong")
