"""One process at a time may write into a run directory."""

import os
from pathlib import Path

from gapfc.errors import UserError

try:
    import fcntl
except ImportError:
    # Windows has none: there, resuming a run twice at once is not caught. (To mypy a name that is a
    # module can be nothing else.)
    fcntl = None  # type: ignore[assignment]


class Lock:
    """Held from construction to `release` or to the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock at `path`; UserError if another process holds it."""
        self._file = path.open("ab")
        if fcntl is None:
            return
        try:
            # lockf and not flock: a flock lives on in forked data workers after a kill -9 of
            # the run, and would refuse the resume that follows.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            self._file.close()
            raise UserError(
                f"{path.parent} is being written by another process: wait until that run ends, "
                "or stop it, then resume."
            ) from error
        except OSError:
            pass  # a file system without locks
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n".encode())
        self._file.flush()

    def fileno(self) -> int:
        """The descriptor of the lock file."""
        return self._file.fileno()

    def release(self) -> None:
        """Give the lock back; harmless when done twice."""
        self._file.close()
