"""Tab completion for bash, zsh and fish: commands, groups, choices, keys, values and options.

`gapfc -sc install=bash` prints what the shell evaluates; at each tab it asks `gapfc -sc query=bash`
with the line up to the cursor in COMP_LINE. The words come from Hydra; torch is not imported.
"""

import contextlib
import importlib
import os
import re
from collections.abc import Iterable

from gapfc.cli.registry import COMMANDS, Command
from gapfc.errors import UserError

ACTIONS = ("install", "uninstall", "query")

# Bash splits words at = and :, and replaces only what follows the last of them.
BASH = r"""
_gapfc_complete() {
    local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT} word=${COMP_WORDS[COMP_CWORD]} current prefix
    current=${line##*[[:space:]]}
    case $word in [=:]*) word=${word#?} ;; esac
    prefix=${current%"$word"}
    COMPREPLY=($(COMP_LINE=$line "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=./] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _gapfc_complete gapfc
"""

ZSH = r"""
_gapfc_complete() {
    local -a found open closed
    found=(${(f)"$(COMP_LINE="${(j: :)words[1,CURRENT]}" ${words[1]} -sc query=zsh 2>/dev/null)"})
    open=(${(M)found:#*[=./]})
    closed=(${found:#*[=./]})
    (( $#open )) && compadd -S '' -- $open
    (( $#closed )) && compadd -- $closed
    (( $#found )) || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _gapfc_complete gapfc
"""

FISH = r"""
function _gapfc_complete
    set -lx COMP_LINE (commandline -cp)
    set -l words (commandline -cpo)
    $words[1] -sc query=fish 2>/dev/null
end
complete -c gapfc -f -a '(_gapfc_complete)'
"""

INSTALL = {"bash": BASH, "zsh": ZSH, "fish": FISH}
UNINSTALL = {
    "bash": "complete -r gapfc; unset -f _gapfc_complete",
    "zsh": "compdef -d gapfc; unfunction _gapfc_complete",
    "fish": "complete -e -c gapfc; functions -e _gapfc_complete",
}

OPTIONS = [
    "--help", "--cfg", "--resolve", "--package", "--info", "--hydra-help",
    "--config-dir", "--config-name",
]  # fmt: skip
VALUES = {
    "--cfg": ["job", "hydra", "all"],
    "-c": ["job", "hydra", "all"],
    "--info": ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"],
    "-i": ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"],
}


def main(argv: list[str]) -> int:
    """Do `install=`, `uninstall=` or `query=` for a shell. Raises UserError for another word."""
    wanted = dict(word.split("=", 1) for word in argv if word.partition("=")[0] in ACTIONS)
    if len(wanted) != 1 or (shell := next(iter(wanted.values()))) not in INSTALL:
        raise UserError(
            f"-sc takes install=, uninstall= or query=, and one of {', '.join(INSTALL)}: "
            "gapfc -sc install=bash"
        )
    if "install" in wanted:
        print(INSTALL[shell])
    elif "uninstall" in wanted:
        print(UNINSTALL[shell])
    else:
        print("\n".join(candidates(os.environ.get("COMP_LINE", ""))))
    return 0


def candidates(line: str) -> list[str]:
    """The words that can end `line`, the command line up to the cursor."""
    words = re.sub(r"^\s*\S*python[\d.]*\s+-m\s+", "", line).split()[1:]
    word = "" if line.endswith((" ", "\t")) or not words else words.pop()
    if not words:
        return _starting(word, [*COMMANDS, "--help", "--version"])
    command = COMMANDS.get(words[0])
    if command is None:
        return []
    if command.config is None:
        parser = importlib.import_module(command.module).parser()
        options = [text for action in parser._actions for text in action.option_strings]
        return _starting(word, options) if word.startswith("-") else []  # the shell knows files
    if words[-1] in VALUES:
        return _starting(word, VALUES[words[-1]])
    if word.startswith("-"):
        sweeping = ("--multirun",) if command.sweeps else ()
        return _starting(word, sorted([*OPTIONS, *sweeping, *command.options]))
    return settings(command, words[1:], word)


def settings(command: Command, before: list[str], word: str) -> list[str]:
    """Groups, choices, keys and current values that `word` can become, after the words `before`."""
    from gapfc.settings.compose import Composer, CompositionError

    composer = Composer(before)
    key, equals, value = word.partition("=")
    name = key.lstrip("+~")
    prefix = key[: len(key) - len(name)]
    assert command.config is not None
    groups = composer.offered(command.config, command.settles)
    if equals and name in groups:
        done, comma, last = value.rpartition(",")
        begun, taken = f"{key}={done}{comma}", done.split(",")
        return [f"{begun}{one}" for one in _starting(last, groups[name]) if one not in taken]
    found = [] if equals else [f"{group}=" for group in _starting(name, groups)]
    with contextlib.suppress(*CompositionError):  # an earlier word is wrong: offer groups alone
        found += [
            match
            for match in composer.matches(command.config, name + equals + value)
            if match.partition("=")[0] not in command.settles
        ]
    return sorted(f"{prefix}{match}" for match in found)


def _starting(word: str, words: Iterable[str]) -> list[str]:
    return [candidate for candidate in words if candidate.startswith(word)]
