"""Run a command under Hydra, with errors and exit codes that a shell and a person can use."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.plugins import Plugins
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gapfc.data.sources.locate import DIRS, FOLDER, locate
from gapfc.errors import UserError
from gapfc.formatting import first_line, printable
from gapfc.records.identity import check_changeable
from gapfc.records.run_directory import CONFIG
from gapfc.settings.arguments import check_arguments
from gapfc.settings.compose import Composer, CompositionError
from gapfc.settings.explain import explain, explain_in_run, from_own_code
from gapfc.settings.kinds import check_settings
from gapfc.settings.paths import SEARCH_PATH
from gapfc.system.allocator import keep_freed_memory
from gapfc.system.garbage import loading
from gapfc.system.launched import launched
from gapfc.system.terminal import die_with_reader, print_error
from gapfc.transfer.named import check_named

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
# Hydra's options that print settings and run nothing.
_QUESTIONS = {"--cfg", "-c", "--info", "-i", "--hydra-help"}


def asks_about_settings(arguments: list[str]) -> bool:
    """Whether these arguments only ask Hydra to print something."""
    return any(word.partition("=")[0] in _QUESTIONS for word in arguments)


def launch(name: str, config_name: str, module: str, arguments: list[str]) -> int:
    """Run `module.run(config)` once, or with -m once per combination, and return the exit code."""
    task = CommandTask(name, module)
    # argparse gives up on settings on both sides of an option: `a=1 -m b=2,3`.
    arguments = sorted(arguments, key=lambda text: "=" in text and not text.startswith("-"))

    # Hydra otherwise prints configuration errors itself, and cuts tracebacks down.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # A sweeper of any other name would have to be installed into the package hydra_plugins.
    plugins = Plugins.instance()
    # Not before: Hydra loads its plugins' modules anew when it looks for them.
    from gapfc.sweep import Sweeper
    from gapfc.sweep.launchers import prefer_own_configs

    prefer_own_configs()
    plugins.class_name_to_class[BASIC_SWEEPER] = Sweeper
    if asks_about_settings(arguments):
        die_with_reader()
    try:
        with loading():
            composer = Composer(arguments)
            arguments = list(map(composer.with_plus, arguments))
            _check_resumed(composer.overrides)
            sys.argv = [f"gapfc {name}", *arguments]
            check_arguments(name, config_name, arguments)
        hydra.main(config_path=SEARCH_PATH, config_name=config_name, version_base="1.3")(task)()
    except BrokenPipeError:
        raise
    except CompositionError as error:
        # Runs catch their own errors: what arrives here was raised while Hydra read the settings.
        print_error(explain(error, name, config_name, arguments))
        return 2
    return task.code


def _check_resumed(overrides: list[str]) -> None:
    """A run is resumed with its own settings: what it is, those composed here cannot tell."""
    typed = dict(word.lstrip("+~").partition("=")[::2] for word in overrides)
    run = typed.pop("resume", None)
    if not run or not Path(run).expanduser().joinpath(CONFIG).is_file():
        return  # of what is no run, the command itself will say so
    for key in typed:
        if key != "trust":
            check_changeable(key)


def _check_devices(config: DictConfig) -> None:
    """UserError if `config` asks for other processes than torchrun has started."""
    wanted = (config.get("trainer") or {}).get("devices", 1)
    together = launched()
    if together and wanted not in (1, together):
        raise UserError(
            f"trainer.devices={wanted}, but {together} processes were started: leave it out, or "
            f"set it to {together}"
        )


@dataclass
class CommandTask:
    """What Hydra calls with the settings; a sweep sends copies of it to other processes.

    Attributes:
        command: its name.
        module: dotted name of the module whose `run(config)` it is.
        code: the exit code of the last run in this process.
    """

    command: str
    module: str
    code: int = 0

    def __call__(
        self, config: DictConfig, show: Callable[[object], None] = print_error
    ) -> tuple[int, str | None]:
        """Run; the exit code, and why it failed. Errors become exit codes, as in a shell.

        2: an invalid setting, which is handed to `show`; 1: anything else, with Python's
        traceback.
        """
        try:
            keep_freed_memory()
            _check_devices(config)
            run = self._run()
            check_settings(config)  # again: of a sweep, only what its runs share was known before
            self.code, reason = run(config), None
        except BrokenPipeError:
            # Hydra would take an exception for the result of a run: so leave by an exception that
            # it lets through.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except Exception as error:
            reason = explain_in_run(error)
            if reason is not None:
                self.code = 2
                show(reason)
            else:
                self.code, reason = 1, f"{type(error).__name__}: {error}"
                sys.stdout.flush()
                traceback.print_exc()
                if own := from_own_code(error, config):
                    print_error(own)
        return self.code, reason

    def check_sources(self, config: DictConfig) -> None:
        """UserError for a folder of images that is not there, and a transfer from nothing."""
        try:
            dataset = config.dataset if config.dataset._target_ == FOLDER else {}
            named = {key: dataset.get(key) for key in DIRS}
            root = Path(str(config.data_root))
        except (OmegaConfBaseException, AttributeError, TypeError):
            return  # the run itself will say what is wrong with its settings
        for key, path in named.items():
            if path is not None:
                locate(str(path), root, f"dataset.{key}")
        if self.command == "transfer":
            check_named(config.source)

    def _run(self) -> Callable[[DictConfig], int]:
        if self.module not in sys.modules:
            with loading():
                importlib.import_module(self.module)
        found: Callable[[DictConfig], int] = sys.modules[self.module].run
        return found

    def follow(self) -> int:
        """Take part in a run of which another process is the first; the exit code."""
        from gapfc.cli.follow import follow

        return follow()

    def leave(self) -> None:
        """Let go the processes that take part in this one's run."""
        from gapfc.ranks.team import leave

        leave()

    def after_sweep(self, output_root: str) -> None:
        """Write the mean over seeds of all groups below `output_root`, for TensorBoard.

        What goes wrong is told in one line: the sweep's runs are not in question.
        """
        try:
            from gapfc.compare.output.margins import margins
            from gapfc.tensorboard.margins import write_margins

            write_margins(margins(output_root), output_root)
        except Exception as error:
            said = printable(first_line(f"{type(error).__name__}: {error}"))
            print(f"gapfc: TensorBoard will lack the means over seeds: {said}", file=sys.stderr)
