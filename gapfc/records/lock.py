"""One process at a time may write into a run directory."""

import errno
import os
import stat
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
        """Take the lock at `path`; UserError if another process holds it.

        OSError if it cannot be made, or is something else than a file: a link would have its target
        emptied.
        """
        self._file = os.fdopen(_open_file(path), "ab")
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


def _open_file(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # Without waiting: a named pipe would, for a reader. Windows knows neither flag.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", str(path))
    return descriptor
