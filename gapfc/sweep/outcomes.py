"""A folder in which the runs of a sweep, on any process or machine, record how they ended."""

import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gapfc.errors import UserError
from gapfc.records.atomic import atomic_write_text

LEFT = 75  # EX_TEMPFAIL: another sweep is at work on the run


@dataclass(frozen=True)
class Outcome:
    """How a run ended. code: its exit code; reason: of a failure; path: its run directory.

    With the code LEFT, path is the lock file of its `gapfc.sweep.claim`.
    """

    code: int
    seconds: float = 0.0
    reason: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class Begun:
    """A run that some process has begun."""

    host: str
    pid: int


def key(overrides: Sequence[str]) -> str:
    """The name of a run within its sweep."""
    return hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcomes:
    """The folder; only its path goes to other processes."""

    folder: Path

    def begin(self, run: str) -> None:
        """Record that this process has begun `run`, a `key`."""
        self._write(f"{run}.begun", asdict(Begun(socket.gethostname(), os.getpid())))

    def end(self, run: str, outcome: Outcome) -> None:
        """Record how `run` ended."""
        self._write(f"{run}.ended", asdict(outcome))

    def forget(self, run: str) -> None:
        """Let `run` be begun once more."""
        for suffix in ("begun", "ended"):
            (self.folder / f"{run}.{suffix}").unlink(missing_ok=True)

    def begun(self) -> dict[str, Begun]:
        """The runs that were begun, also those that have ended."""
        return {name: Begun(**fields) for name, fields in self._read(".begun")}

    def ended(self) -> dict[str, Outcome]:
        """The runs that have ended."""
        return {name: Outcome(**fields) for name, fields in self._read(".ended")}

    def stop(self) -> None:
        """Ask that no further run begin."""
        (self.folder / "stop").touch()

    @property
    def stopping(self) -> bool:
        """Whether no further run is to begin."""
        return (self.folder / "stop").exists()

    def _write(self, name: str, fields: dict[str, object]) -> None:
        atomic_write_text(self.folder / name, json.dumps(fields))

    def _read(self, suffix: str) -> Iterator[tuple[str, dict]]:
        for path in self.folder.glob(f"*{suffix}"):
            yield path.stem, json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def outcomes_below(output_root: str | Path) -> Iterator[Outcomes]:
    """A folder in `output_root`, where all machines of a cluster see it; removed at the end."""
    parent = Path(output_root).expanduser() / ".sweep"
    folder = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        _remove_dead(parent)
    except OSError as error:
        raise UserError(
            f"{output_root} cannot be written: {error.strerror or error}. "
            "Set output_root to a folder that you may write to."
        ) from error
    try:
        yield Outcomes(folder.resolve())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            parent.rmdir()  # unless another sweep is at work there


def _remove_dead(parent: Path) -> None:
    """Remove the folders of sweeps on this host whose process is gone."""
    for folder in parent.iterdir():
        host, _, pid = folder.name[len("20260101-000000-") :].rpartition("-")
        if host == socket.gethostname() and pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # there os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True
