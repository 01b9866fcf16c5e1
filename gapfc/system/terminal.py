"""What is written to a terminal or a pipe."""

import errno
import logging
import os
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
        """Raise BrokenPipeError; drop what a terminal that has gone can't show; else as Python."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        if leave_if_gone():
            return
        super().handleError(record)


def die_with_reader() -> None:
    """Let a closed pipe end the process silently, as other Unix tools do.

    Not for training: a dead data worker would silently take the run with it.
    """
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def leave_if_gone() -> bool:
    """Send output to nowhere if its terminal has hung up, as when an ssh session breaks.

    Every write to it would raise EIO, also in the middle of saving. Returns whether it had gone.
    """
    try:
        import termios
    except ImportError:  # Windows
        return False
    gone = False
    for descriptor in (1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # ENOTTY: a file or a pipe
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, descriptor)
                os.close(null)
                gone = True
    return gone


def print_error(error: object) -> None:
    """Write `gapfc: error: …` to stderr, after whatever stdout still holds."""
    sys.stdout.flush()
    print(f"gapfc: error: {printable_lines(str(error))}", file=sys.stderr)
