"""Options of the commands that Hydra does not read, and what is said of a wrong one."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gapfc.errors import UserError
from gapfc.formatting import did_you_mean
from gapfc.validators import one_of

# Settings of commands that Hydra does not read: the values of each, and the one if none is typed.
SETTINGS = {
    "trust": (("true", "false"), "false"),
    "trainer.device": (("auto", "cpu", "cuda"), "auto"),
}


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
            message = f"no option {wrong}{did_you_mean(wrong, known)}"
        elif message.startswith("the following arguments are required"):
            message = f"{message.rpartition(': ')[2]} is missing"
        raise UserError(f"{message}\n{self.prog} --help lists the options")


def paths_and_settings(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that are paths, and those written key=value that no file is called."""
    settings = [word for word in words if "=" in word and not Path(word).exists()]
    return [word for word in words if word not in settings], settings


def values(command: str, settings: Sequence[str], *keys: str) -> list[str]:
    """Of those of SETTINGS that `command` takes, the values: those typed, the last of each.

    Raises UserError for another setting or value.
    """
    found = {key: SETTINGS[key][1] for key in keys}
    for word in settings:
        key, _, value = word.partition("=")
        if key not in keys:
            raise UserError(
                f"{word}: there is no such file, and gapfc {command} takes no setting but "
                f"{' and '.join(keys)}"
            )
        found[key] = one_of(key, value, SETTINGS[key][0])
    return list(found.values())
