"""Faults of the disk below a run directory, in words: full, read-only, removed."""

import errno
from pathlib import Path

_CHECKPOINTS = ("last.pt", "previous.pt")  # the newest first

_OF_A_DISK = {errno.ENOSPC, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC),
              getattr(errno, "ESTALE", errno.EIO)}  # fmt: skip
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def disk_fault(error: BaseException, folder: Path, command: str) -> str | None:
    """What is wrong, what is kept and how to go on; None if `error` isn't about the run's `folder`.

    command: train or transfer. Also the cause of `error` counts: torch wraps what a file raises.
    """
    fault = _os_error(error)
    if fault is None:
        return None
    if not folder.is_dir():
        return f"{folder} was removed while its run was at work: nothing of it is kept."
    named = Path(str(fault.filename)) if fault.filename is not None else None
    if fault.errno not in _OF_A_DISK and (named is None or not named.is_relative_to(folder)):
        return None
    where = named if named is not None and named.is_relative_to(folder) else folder
    kept = [name for name in _CHECKPOINTS if (folder / "checkpoints" / name).is_file()]
    first = "Once there is space" if fault.errno in _FULL else "Once it can be written"
    if not kept:
        return (
            f"{where} cannot be written: {fault.strerror}. No epoch was saved yet. {first}, "
            f"begin again, or: gapfc {command} resume={folder}"
        )
    return (
        f"{where} cannot be written: {fault.strerror}. Kept: checkpoints/{kept[0]}. {first}: "
        f"gapfc {command} resume={folder}"
    )


def _os_error(error: BaseException | None) -> OSError | None:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
