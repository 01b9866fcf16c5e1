"""Runs that share the processors of one machine take turns.

Two runs of as many threads as there are cores, side by side, do an eighth of the work of one: at
each operation the threads of one wait for a thread that the other has pushed off its core. Fewer
threads would round differently, so a run keeps its own, and waits while another has the cores.
"""

import os
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:
    # Windows has none: there, runs do not wait for each other. (To mypy a name that is a module can
    # be nothing else.)
    fcntl = None  # type: ignore[assignment]

TURN = 1.0  # seconds
LOOK = 0.05  # seconds between two looks at whether others wait
POLL = 0.01  # seconds between two tries of one that waits
STAND_BACK = 0.05  # seconds until one that has had its turn queues again, behind all that wait
PATIENCE = 10.0  # seconds without any change of turn until whoever has it is passed over
SAID_AFTER = 0.2  # seconds

SHARED = "another run is at work here: they take turns"
PASSED = "the run whose turn it is does not move on (stopped?): its turn is over"


class Turns:
    """A context in which `check`, called between steps, waits until it is this run's turn.

    Within it, it may be entered again, which changes nothing.

    A run takes as many cores as it has threads, so that small ones go side by side. Cores are locks
    on the bytes of one file: whoever ends, however it ends, gives them back. Whoever waits queues
    for byte 0 first, which tells those at work that they are waited for, and then collects cores.

    Args:
        threads: of this run; 0 if it computes elsewhere, and need not wait.
        cores: numbers of the processors that it may use.
        check: called while waiting; may raise to stop that.
        tell: is given a line of text if there is something to know.
        folder: of the lock file; by default one for each user of the machine.
    """

    def __init__(
        self,
        threads: int,
        cores: Sequence[int],
        check: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda line: None,
        folder: Path | None = None,
    ) -> None:
        self._needed = 0 if fcntl is None else min(threads, len(cores))
        self._bytes = [1 + number for number in cores]
        self._check = check
        self._tell = tell
        self._path = (folder or runtime_folder()) / "turns"
        self._depth = 0  # contexts that are open, one within another
        self._file: int | None = None
        self._heads_queue = False
        self._held: list[int] = []
        self._waited = 0.0
        self._due = 0.0  # when to look next whether others wait
        self._said: set[str] = set()

    def __enter__(self) -> "Turns":
        # Once: closing a second descriptor of the file would lose the locks held by the first.
        if self._needed and not self._depth:
            self._open()
        self._depth += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._close()

    def clock(self) -> float:
        """Seconds, of which those spent waiting are not part."""
        return time.perf_counter() - self._waited

    def give_up(self) -> None:
        """Let others have the cores; the next `check` waits for them again.

        For one that has to wait for something else, which may be another run.
        """
        while self._held:
            self._unlock(self._held.pop())

    def check(self) -> None:
        """Wait for this run's turn, and give it up when it is over and others wait."""
        if self._file is None:
            return
        if len(self._held) == self._needed:
            now = time.perf_counter()
            if now < self._due:
                return
            self._due = now + LOOK
        try:
            self._change()
        except OSError as error:
            self._do_without(error)

    def _change(self) -> None:
        if len(self._held) == self._needed and self._is_current():
            if not self._others_wait():
                return
            self.give_up()
            self._wait(STAND_BACK)
        else:
            self._wait()

    def _wait(self, delay: float = 0.0) -> None:
        """Until this run has its cores; delay: seconds before it queues for them."""
        begun = moved = time.perf_counter()
        state = None
        time.sleep(delay)
        try:
            while not self._take():
                self._check()
                time.sleep(POLL)
                now = time.perf_counter()
                if state != (state := self._state()):
                    moved = now
                if now - begun > SAID_AFTER:
                    self._say(SHARED)
                if now - moved > PATIENCE:
                    self._say(PASSED)
                    self._replace()
                    moved = now
        finally:
            now = time.perf_counter()
            self._waited += now - begun
            self._due = now + TURN

    def _take(self) -> bool:
        """Take what is free: first the head of the queue, then cores. Whether it is enough."""
        if not self._is_current():
            self._close()
            self._open()
        if self._file is None:
            return True
        if not self._heads_queue and not self._lock(0):
            return False
        self._heads_queue = True
        for byte in self._bytes:
            if len(self._held) < self._needed and byte not in self._held and self._lock(byte):
                self._held.append(byte)
        if len(self._held) < self._needed:
            return False
        self._unlock(0)
        self._heads_queue = False
        os.utime(self._file)  # others see that things move
        return True

    def _others_wait(self) -> bool:
        if not self._lock(0):
            return True
        self._unlock(0)
        return False

    def _lock(self, byte: int) -> bool:
        assert self._file is not None
        try:
            # Not flock: such a lock lives on in forked data workers after a kill -9 of the run.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self, byte: int) -> None:
        assert self._file is not None
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def _open(self) -> None:
        try:
            own_folder(self._path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(self._path, flags, 0o600)
            if not _is_own(status := os.fstat(file)) or not stat.S_ISREG(status.st_mode):
                os.close(file)
                raise OSError(None, "not a file of your own", str(self._path))
            self._file = file
        except OSError as error:
            self._do_without(error)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file, self._held, self._heads_queue = None, [], False

    def _is_current(self) -> bool:
        """Whether the file is still the one that all look at."""
        state = self._state()
        return self._file is not None and state[:2] == _state(os.fstat(self._file))[:2]

    def _state(self) -> tuple[int, ...]:
        """What changes when a turn does, or when the file is replaced."""
        try:
            return _state(os.stat(self._path, follow_symlinks=False))
        except FileNotFoundError:
            return ()

    def _replace(self) -> None:
        """Have everyone look at a new file, in which nobody has anything locked."""
        if self._is_current():
            self._path.unlink(missing_ok=True)

    def _do_without(self, error: OSError) -> None:
        self._close()
        self._needed = 0
        why = f"{error.filename or self._path}: {error.strerror or error}"
        self._say(f"runs at the same time will not take turns: {why}")

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._tell(line)


def runtime_folder() -> Path:
    """A folder of this user alone, on this machine, until it is switched off: as XDG has it."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(given) and os.path.isdir(given):
        return Path(given) / "gapfc"
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"gapfc-{user}"


def own_folder(folder: Path) -> None:
    """Make `folder`, for this user alone; OSError if it is there and is not that."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = os.lstat(folder)
        private = not status.st_mode & 0o077
        if not (stat.S_ISDIR(status.st_mode) and _is_own(status) and private):
            raise OSError(None, "not a folder of yours alone", str(folder)) from None


def _is_own(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid()


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns
