"""The one exception whose message is written for the person at the terminal."""


class UserError(ValueError):
    """Something the user can fix: says what is wrong, in which setting, and what it takes.

    The command line prints the message alone, without a traceback, and exits non-zero.
    Every other exception is a bug in gapfc and keeps its traceback.
    """
