"""Options of the commands that have no settings, and what is said of a wrong one."""

import argparse
import difflib
from typing import NoReturn

from gapfc.errors import UserError


class Options(argparse.ArgumentParser):
    """An argparse parser whose errors are gapfc's: one line, and what was probably meant."""

    def __init__(self, command: str, description: str, epilog: str, usage: str | None = None):
        super().__init__(
            prog=f"gapfc {command}",
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise UserError."""
        words = message.removeprefix("unrecognized arguments: ").split()
        known = [option for action in self._actions for option in action.option_strings]
        if message.startswith("unrecognized") and words[0].startswith("-"):
            wrong = words[0].partition("=")[0]
            near = difflib.get_close_matches(wrong, known, n=1)
            message = f"no option {wrong}{f'; did you mean {near[0]}?' if near else ''}"
        elif message.startswith("the following arguments are required"):
            message = f"{message.rpartition(': ')[2]} is missing"
        raise UserError(f"{message}\n{self.prog} --help lists the options")
