"""What the user asked for, from which a run directory is made."""

import shlex
from dataclasses import dataclass, field

from omegaconf import DictConfig, OmegaConf

from gapfc.formatting import from_here
from gapfc.records.revision import git_revision
from gapfc.records.run_directory import RunDirectory
from gapfc.settings.compose import config_dirs


@dataclass(frozen=True)
class Invocation:
    """A command, as it was typed.

    Attributes:
        command: train or transfer.
        config: the whole config that the command line gives.
        overrides: that were typed behind the command, such as `head=gap`.
        git: the revision that the user's project was at when it began, or None.
    """

    command: str
    config: DictConfig
    overrides: list[str]
    git: str | None = field(default_factory=git_revision)

    def new_directory(self) -> RunDirectory:
        """A new run directory. Raises UserError if none can be made."""
        directory = RunDirectory.create(self.command, self.config)
        self.write_config(directory)
        return directory

    def write_config(self, directory: RunDirectory) -> None:
        """Write config.yaml: what was typed, as a comment, and the resolved config."""
        typed = shlex.join(self.words)
        directory.write_config(typed, OmegaConf.to_yaml(self.config, resolve=True))

    @property
    def words(self) -> list[str]:
        """The command line, in words."""
        own = [word for folder in config_dirs() for word in ("--config-dir", from_here(folder))]
        return ["gapfc", self.command, *own, *self.overrides]
