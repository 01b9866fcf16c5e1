"""run.log: what the terminal showed, with the time of each line; the traceback of a bug too."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import MemoryHandler
from pathlib import Path

from gapfc.system.terminal import LineFormatter

_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


@contextmanager
def holding() -> Iterator[MemoryHandler]:
    """Keep what gapfc logs before there is a run directory, for `recording` to start with.

    Skipped files and feature maps that are too small are reported then.
    """
    logger = logging.getLogger("gapfc")
    held = MemoryHandler(capacity=sys.maxsize, flushLevel=sys.maxsize, flushOnClose=False)
    logger.addHandler(held)
    try:
        yield held
    finally:
        logger.removeHandler(held)


@contextmanager
def recording(folder: Path, held: MemoryHandler | None = None) -> Iterator[None]:
    """Append what is held, and what gapfc logs while the context lasts, to run.log in `folder`."""
    logger = logging.getLogger("gapfc")
    handler = _RunLog(folder / "run.log", encoding="utf-8")
    handler.setFormatter(LineFormatter(_FORMAT, "%Y-%m-%d %H:%M:%S"))
    if held is not None:
        held.setTarget(handler)
        held.flush()
    logger.addHandler(handler)
    try:
        yield
    except Exception:
        # Only to the file: the terminal gets it when the program ends.
        handler.handle(
            logging.makeLogRecord(
                {
                    "msg": "an error that gapfc did not expect",
                    "levelname": "ERROR",
                    "exc_info": sys.exc_info(),
                }
            )
        )
        raise
    finally:
        logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


class _RunLog(logging.FileHandler):
    """Drops what a full disk has no place for: Python's own prints a traceback for every line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Leave it to the checkpoint and results.json, which the run can't do without."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
