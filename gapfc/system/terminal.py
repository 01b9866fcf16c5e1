"""What is written to a terminal or a pipe."""

import logging
import signal
import sys
from typing import TYPE_CHECKING, TextIO

from gapfc.formatting import printable_lines

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # on Python 3.10 it takes no type


class LineFormatter(logging.Formatter):
    """A formatter of lines in which no name can control the terminal, run.log's or the user's."""

    def format(self, record: logging.LogRecord) -> str:
        """The record in one line or more, each harmless."""
        return printable_lines(super().format(record))


class TerminalHandler(_StreamHandler):
    """A stream handler that lets a closed pipe (`gapfc train | head`) end the program.

    Python's own prints a traceback for every further line instead.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Raise BrokenPipeError; report every other error as Python does."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        super().handleError(record)


def die_with_reader() -> None:
    """Let a closed pipe end the process silently, as other Unix tools do.

    Not for training: a dead data worker would silently take the run with it.
    """
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def print_error(error: object) -> None:
    """Write `gapfc: error: …` to stderr, after whatever stdout still holds."""
    sys.stdout.flush()
    print(f"gapfc: error: {printable_lines(str(error))}", file=sys.stderr)
