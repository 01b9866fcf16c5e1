"""Log lines for a terminal or a pipe."""

import logging
import signal
import sys

# Hydra's options that print settings and run nothing.
_QUESTIONS = {"--cfg", "-c", "--info", "-i", "--hydra-help"}


def asks_about_settings(arguments: list[str]) -> bool:
    """Whether these arguments only ask Hydra to print something."""
    return any(word.partition("=")[0] in _QUESTIONS for word in arguments)


class TerminalHandler(logging.StreamHandler):  # no [TextIO] before Python 3.11
    """A stream handler that lets a closed pipe (`gapfc train | head`) end the program.

    Python's own prints a traceback for every further line instead.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Raise BrokenPipeError; report every other error as Python does."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        super().handleError(record)


def die_with_reader() -> None:
    """Let a closed pipe end the process silently, as other Unix tools end.

    Not for training: a data worker that died would take the run with it, without a word.
    """
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
