"""The command line: from sys.argv to a command, and from its errors to a person.

Nothing here imports torch or Hydra, so that `gapfc --help` answers at once.
"""

import errno
import importlib
import io
import os
import sys

from gapfc import __version__
from gapfc.cli.registry import COMMANDS, SHARED, Command
from gapfc.errors import UserError
from gapfc.formatting import did_you_mean
from gapfc.system.launched import by_torchrun, end, follows, launched, start
from gapfc.system.parent import once_gone, stop
from gapfc.system.terminal import print_error


def main() -> None:
    """Run the command in sys.argv and exit with its code: 0 done, 1 failed, 2 not understood."""
    # A name or a "±" that the terminal's encoding lacks is spelled out, not a crash.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print_error(error)
        code = 2
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader left (`| head`).
        _drop_output()
        code = 141
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        # `> file` on a full disk: a stream has no name.
        _drop_output()
        print_error("standard output cannot be written: no space left on the device")
        code = 2
    sys.exit(code)


def _drop_output() -> None:
    """What stdout still holds goes nowhere: Python would complain again when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def dispatch(argv: list[str]) -> int:
    """Find the command in `argv`, run it, and return its exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"gapfc {__version__}")
        return 0
    if {"-sc", "--shell-completion"} & set(argv):
        from gapfc.cli import completion

        return completion.main(argv)
    name, arguments = argv[0], argv[1:]
    command = COMMANDS.get(name)
    if by_torchrun():
        once_gone(os.getppid(), stop)  # killed, it could end nobody
    if follows():
        return _follow(name)
    if command is None:
        raise UserError(unknown_command(name))
    try:
        return _run(name, command, arguments)
    finally:
        if name in SHARED:
            _let_others_go()


def _run(name: str, command: Command, arguments: list[str]) -> int:
    if command.config is not None and {"-h", "--help"} & set(arguments):
        from gapfc.cli.help import help_text

        print(help_text(name, arguments))
        return 0
    if not command.sweeps and {"-m", "--multirun"} & set(arguments):
        raise UserError(f"gapfc {name} makes its own sweeps: leave out -m")
    if name in SHARED:
        _start_ranks(arguments)
    if command.under_hydra:
        from gapfc.cli.launch import launch

        assert command.config is not None
        return launch(name, command.config, command.module, arguments)
    run: int = importlib.import_module(command.module).main(arguments)
    return run


def _start_ranks(arguments: list[str]) -> None:
    """Start the other processes that are typed for: they load torch while this one composes.

    `gather` would do it later. Where a launcher sends runs elsewhere, they start there.
    """
    if launched() or any(word.startswith("hydra/launcher=") for word in arguments):
        return
    typed = [word.partition("=")[2] for word in arguments if word.startswith("trainer.devices=")]
    if typed and typed[-1].isdecimal() and int(typed[-1]) > 1:
        start(int(typed[-1]))


def _follow(name: str) -> int:
    """What a process does that torchrun has started beside the first one."""
    if name not in SHARED:
        return 0  # the first one does it
    from gapfc.cli.follow import follow

    return follow()


def _let_others_go() -> None:
    """End the processes that were started beside this one, whether or not they were needed."""
    if launched() or "gapfc.ranks.team" in sys.modules:
        from gapfc.ranks.team import leave

        leave()
    end(wait=False)


def overview() -> str:
    """What `gapfc --help` prints."""
    lines = [
        "gapfc: what should stand between a CNN's last feature map and its logits?",
        "",
        "usage: gapfc <command> [group=choice] [key=value] ...",
        "",
    ]
    for name, command in COMMANDS.items():
        lines += [f"  {name:<10} {command.summary}", f"  {'':<10} $ {command.example}", ""]
    lines += [
        "gapfc <command> --help    the groups, choices and keys a command takes",
        "gapfc --version           the version",
        'eval "$(gapfc -sc install=bash)"      tab completion, until the shell ends',
        "    (zsh: install=zsh; fish: gapfc -sc install=fish | source)",
    ]
    return "\n".join(lines)


def unknown_command(name: str) -> str:
    """Say what was probably meant by `name`, which is not a command."""
    if "=" in name:
        return f"{name} is a setting and needs a command before it: gapfc train {name}"
    is_option = name.startswith("-")
    hint = did_you_mean(name, ("--help", "--version") if is_option else COMMANDS, cutoff=0.5)
    if is_option:
        return f"no option {name}{hint} (gapfc --help)"
    return f"no command '{name}'{hint or '.'} There are {', '.join(COMMANDS)} (gapfc --help)"
