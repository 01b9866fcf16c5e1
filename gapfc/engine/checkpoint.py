"""Checkpoints on disk: written atomically, and read without executing any code in them."""

import logging
import os
from pathlib import Path
from typing import Any

import torch

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
    """Read a checkpoint onto the CPU.

    Raises:
        UserError: if it is missing, truncated, or not a gapfc checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"There is no checkpoint {path}") from None
    except Exception as error:  # anything that unpickling raises for bytes that are not a pickle
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged or not a checkpoint: {reason[:120]}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or "model" not in state:
        raise UserError(f"{path} is not a gapfc checkpoint (of format {FORMAT})")
    return state


def load_last(folder: Path) -> dict[str, Any] | None:
    """Read `last.pt`, or `previous.pt` with a warning if the last can't be read.

    None if there is neither: a run that was killed before its first epoch had ended.

    Raises:
        UserError: if there is one and none can be read.
    """
    if not (folder / LAST).exists() and not (folder / PREVIOUS).exists():
        return None
    try:
        return load(folder / LAST)
    except UserError as error:
        try:
            state = load(folder / PREVIOUS)
        except UserError:
            raise error from None
        log.warning("%s. Continuing from %s, the one before.", error, folder / PREVIOUS)
        # Else the next checkpoint would keep the damaged one and drop the one that was read.
        os.replace(folder / PREVIOUS, folder / LAST)
        return state
