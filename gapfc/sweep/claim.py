"""Equal sweeps share their work: each run is claimed by one process while it is carried out."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gapfc.errors import UserError
from gapfc.records.identity import group_hash
from gapfc.records.lock import Lock


def claim_path(command: str, config: Mapping[str, Any]) -> Path:
    """The lock file of a run below its output_root. config: resolved, as plain containers."""
    root = Path(config["output_root"]).expanduser() / ".sweep" / "claims"
    return (root / f"{command}-{group_hash(config)}-s{config['seed']}").absolute()


class Claim:
    """Held until `release`, or until the process ends in whatever way."""

    def __init__(self, path: Path) -> None:
        """Claim the run of `path`; UserError if another process has it, OSError as usual."""
        self._path = path
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock = Lock(path)
                if os.path.samestat(os.fstat(self._lock.fileno()), path.stat()):
                    return
            except FileNotFoundError:  # its holder removed it, or the folder, in between
                continue
            self._lock.release()

    def release(self) -> None:
        """Let others have it; the file goes first, so that whoever waits for it looks again."""
        self._path.unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            self._path.parent.rmdir()  # unless others are claimed


def is_free(path: Path) -> bool:
    """Whether no process has claimed the run of `path`."""
    try:
        Claim(path).release()
    except UserError:
        return False
    return True
