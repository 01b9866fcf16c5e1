"""Compose settings outside a run: for help, for errors, and for tables of several models."""

import re
from argparse import Namespace
from collections.abc import Container, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.plugins.completion_plugin import CompletionPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from gapfc.errors import UserError
from gapfc.settings.kinds import fixed_values
from gapfc.settings.nodes import plain
from gapfc.settings.paths import SEARCH_PATH

# What Hydra raises for settings it cannot compose; its parser recurses into brackets.
CompositionError = (HydraException, OmegaConfBaseException, ValueError, RecursionError)

CLAIM = "claim"  # a folder beside the groups, of files that are no settings
# Groups of which a run has one choice, from the start. Those of other groups are laid over them.
ONE_CHOICE = ("backbone", "head", "dataset", "augment", "optimizer", "schedule")
PRESET = "preset"  # the same of `gapfc claims`
# Keys that take the name of a choice of a group.
NAMED = {
    "source.dataset": "dataset",
    "source.head": "head",
    "source.backbone": "backbone",
    "head.match_parameters_of": "head",
    "only": CLAIM,
}
LAID_OVER = ("experiment", "recipe", "sweep")


def parsed(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Hydra's options in `arguments`, with the settings as `overrides`; and options it hasn't.

    Raises UserError for an option without its value.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument "))

    setattr(parser, "error", refuse)  # noqa: B010 (argparse's own prints all options and exits)
    return parser.parse_known_args(list(arguments))


class Composer:
    """gapfc's groups, and those of `--config-dir`, for the settings on one command line."""

    def __init__(self, arguments: Sequence[str]) -> None:
        options, _ = parsed(arguments)
        search_path = create_config_search_path(SEARCH_PATH)
        self.config_dir: str | None = options.config_dir
        if self.config_dir is not None:
            if not Path(self.config_dir).is_dir():
                raise UserError(f"--config-dir {self.config_dir}: there is no such folder")
            search_path.prepend(
                provider="command-line",
                path=f"file://{Path(self.config_dir).resolve()}",
                anchor=SearchPathQuery(provider="schema"),
            )
        self.loader: ConfigLoaderImpl = ConfigLoaderImpl(config_search_path=search_path)
        self.overrides: list[str] = [self.with_plus(word) for word in options.overrides]

    def with_plus(self, word: str) -> str:
        """`experiment=x` as `+experiment=x`: Hydra wants it of groups without a default choice."""
        group, equals, _ = word.partition("=")
        if not equals or group in (*ONE_CHOICE, PRESET) or not group.isidentifier():
            return word
        return f"+{word}" if group in self.groups() else word

    def compose(
        self,
        config_name: str,
        overrides: list[str] | None = None,
        run_mode: RunMode = RunMode.MULTIRUN,
    ) -> DictConfig:
        """The settings under `overrides` (those of the command line, unless given).

        RunMode.MULTIRUN leaves out values that are swept over, RunMode.RUN refuses them.
        Raises one of CompositionError.
        """
        return without_hydra(self.load(config_name, overrides, run_mode))

    def load(
        self,
        config_name: str,
        overrides: list[str] | None = None,
        run_mode: RunMode = RunMode.MULTIRUN,
    ) -> DictConfig:
        """As `compose`, with Hydra's own settings under the key `hydra`."""
        chosen = self.overrides if overrides is None else overrides
        return self.loader.load_configuration(config_name, chosen, run_mode=run_mode)

    def matches(self, config_name: str, word: str) -> list[str]:
        """What `word` can become: keys, and for `key=` the value in force and all that are fixed.

        Raises one of CompositionError.
        """
        config = self.compose(config_name)
        found = [str(match) for match in CompletionPlugin._get_matches(config, word)]
        key, equals, typed = word.partition("=")
        if equals and f"{key}=" in CompletionPlugin._get_matches(config, key):
            begun, comma, last = typed.rpartition(",")
            named = self.choices(NAMED[key]) if key in NAMED else []
            others = [*fixed_values(key, plain(config)), *named]
            taken = begun.split(",") if comma else []
            found += [
                f"{key}={begun}{comma}{value}"
                for value in others
                if value.startswith(last) and value not in taken
            ]
        return sorted(set(found))

    def files(self, config_name: str) -> list[tuple[str, str]]:
        """Every file that went into the settings, in order, as (path, package)."""
        defaults = self.loader.compute_defaults_list(config_name, self.overrides, RunMode.MULTIRUN)
        return [(str(entry.config_path), entry.package or "") for entry in defaults.defaults]

    def text(self, config_path: str) -> str:
        """The YAML text of a config file, or nothing if it is not a file."""
        for source in self.loader.get_sources():
            if source.scheme() == "pkg":
                file = files(source.path).joinpath(f"{config_path}.yaml")
            elif source.scheme() == "file":
                file = Path(source.path).joinpath(f"{config_path}.yaml")
            else:
                continue
            if file.is_file():
                return file.read_text(encoding="utf-8")
        return ""

    def groups(self) -> dict[str, list[str]]:
        """Group -> its choices, without Hydra's own."""
        return {
            group: self.choices(group)
            for group in sorted(self.loader.list_groups(""))
            if group not in ("hydra", CLAIM) and not group.startswith("_")
        }

    def offered(self, config_name: str, settled: Container[str] = ()) -> dict[str, list[str]]:
        """Of `groups`, those that mean something to this command, and their choices that do.

        settled: groups that the command settles itself.
        """
        # Presets are of claims, which make their own experiments and sweeps.
        others = LAID_OVER if config_name == "claims" else (PRESET,)
        found = {}
        for group, names in self.groups().items():
            if group in LAID_OVER:
                names = [name for name in names if self._is_for(config_name, f"{group}/{name}")]
            if group not in others and group not in settled:
                found[group] = names
        return found

    def _is_for(self, config_name: str, path: str) -> bool:
        """Whether one of LAID_OVER is for this command, by the commands in its comments."""
        made_for = "train" if config_name == "inspect" else config_name
        told = re.findall(r"^#\s+gapfc (train|transfer)\b", self.text(path), re.M)
        return made_for in told or not told

    def choices(self, folder: str) -> list[str]:
        """The files in a folder of configs, without those that others build on (`_base`)."""
        # The loader's own method reads all of Hydra's configs anew for each group.
        return listed(self.loader.repository.get_group_options(folder, ObjectType.CONFIG))


def without_hydra(config: DictConfig) -> DictConfig:
    """`config`, changed in place: the command's own settings alone, with no others to be added."""
    with read_write(config), open_dict(config):
        del config["hydra"]
    OmegaConf.set_struct(config, True)
    return config


def config_dirs() -> list[str]:
    """The folder that `--config-dir` gave to the command at hand, if it did."""
    if not HydraConfig.initialized():
        return []
    sources = HydraConfig.get().runtime.config_sources
    return [source.path for source in sources if source.provider == "command-line"]


def listed(choices: Sequence[str]) -> list[str]:
    """The choices of a group in order, without those that others build on (`_base`)."""
    return sorted(choice for choice in choices if not choice.startswith("_"))
