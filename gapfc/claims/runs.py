"""The runs that claims need: found again by what they are, or made."""

from __future__ import annotations

import json
import logging
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig

from gapfc.claims.claim import Settings
from gapfc.compare.choose import diverged
from gapfc.errors import UserError
from gapfc.experiment.begin import built, resume
from gapfc.experiment.execute import execute
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.formatting import printable
from gapfc.records.run import Run, earlier_run, read_run
from gapfc.records.run_log import holding
from gapfc.settings.compose import Composer, CompositionError, config_dirs
from gapfc.settings.explain import explain
from gapfc.settings.kinds import check_settings
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched
from gapfc.sweep.claim import Claim, claim_path
from gapfc.system.interruption import Interrupted
from gapfc.transfer.experiment import Transfer
from gapfc.transfer.source import complete, read_source


@dataclass
class Runs:
    """Makes runs, each once, whichever claims ask for it.

    Attributes:
        vouched: what the user answers for.
        made: how many were trained by this command.
    """

    vouched: Vouched
    made: int = 0
    _known: dict[tuple[str, str], Run] = field(default_factory=dict)
    _composer: Composer | None = None

    def have(self, settings: Settings, source: Path | None = None) -> Run:
        """The run of `settings`, trained if it is not there; of a transfer from the run `source`.

        A run whose training diverged is what it is: it is given as it failed. Raises UserError for
        settings that are no run's, or one that fails otherwise; Interrupted if it was stopped.
        """
        command = "train" if source is None else "transfer"
        overrides = [typed(key, value) for key, value in settings.items()]
        if source is not None:
            overrides = [typed("source", str(source)), *overrides]
        known = (command, json.dumps(sorted(overrides)))
        if known not in self._known:
            self._known[known] = self._make(command, overrides, source)
        return self._known[known]

    def check(self, settings: Settings, transfer: bool) -> None:
        """Refuse settings that no run takes: UserError."""
        command = "transfer" if transfer else "train"
        self._compose(command, [typed(key, value) for key, value in settings.items()], False)

    def _make(self, command: str, overrides: list[str], source: Path | None) -> Run:
        config = self._compose(command, overrides)
        found = None if source is None else read_source(source, self.vouched)
        if found is not None:
            config = complete(config, found)

        def build(asked: DictConfig) -> Experiment:
            return Experiment(asked) if found is None else Transfer(asked, found)

        settings = plain(config)
        earlier = earlier_run(command, settings)
        if earlier is not None and (earlier.completed or diverged(earlier)):
            return earlier
        with _alone(claim_path(command, settings)):
            earlier = earlier_run(command, settings)  # another process may have made it meanwhile
            if earlier is not None and (earlier.completed or diverged(earlier)):
                return earlier
            self.made += 1
            if earlier is not None:
                path = earlier.path
                code = resume(command, str(path), [], build, self.vouched)
            else:
                asked = Invocation(command, config, overrides)
                with holding() as held:
                    experiment = built(build, config)
                directory = asked.new_directory()
                path = directory.path
                code = execute(asked, experiment, directory, held)
        if code > 128:  # also of a signal that came while the run's end was being recorded
            raise Interrupted(code - 128)
        run = read_run(path)
        if code and not diverged(run):
            raise UserError(f"{path} failed, and with it the claims that need it: {run.reason}")
        return run

    def _compose(self, command: str, overrides: list[str], complete: bool = True) -> DictConfig:
        if self._composer is None:
            # A folder of the user's own configs applies to the runs too.
            folders = [word for folder in config_dirs() for word in ("--config-dir", folder)]
            self._composer = Composer(folders)
        try:
            config = self._composer.compose(command, overrides, RunMode.RUN)
            check_settings(config, complete)
        except CompositionError as error:
            said = explain(error, command, command, overrides)
            whole = shlex.join(["gapfc", command, *overrides])
            raise UserError(f"{said}\n(this came of {printable(whole, 1000)})") from error
        return config


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the run, so that no other process makes it too; waits for one that is at work on it.

    Raises UserError where nothing can be written.
    """
    while True:
        try:
            claim = Claim(path)
            break
        except UserError:
            time.sleep(1)
        except OSError as error:
            raise UserError(
                f"{path.parents[2]} cannot be written ({error.strerror}): set output_root to a "
                "folder that you may write to"
            ) from error
    try:
        yield
    finally:
        claim.release()


@contextmanager
def quietly() -> Iterator[None]:
    """Leave the terminal to what claims say; run.log of each run has everything."""
    handlers = logging.getLogger().handlers
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)


def typed(key: str, value: Any) -> str:
    """A setting as it is typed: `optimizer.lr=0.01`, `backbone.widths=[16,32]`."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][\w./-]*", value):
        return f"{key}={value}"
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{key}='{quoted}'"
    return f"{key}={json.dumps(value, separators=(',', ':'))}"


def merged(*layers: Mapping[str, Any]) -> Settings:
    """Settings laid over each other, the last wins; None takes a key out again."""
    found: Settings = {}
    for layer in layers:
        for key, value in layer.items():
            found.pop(key, None)
            if value is not None:
                found[key] = value
    return found
