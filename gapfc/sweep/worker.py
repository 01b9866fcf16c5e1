"""One run of a sweep, in whichever process its launcher puts it."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gapfc.errors import UserError
from gapfc.records.run import earlier_run
from gapfc.settings.nodes import plain
from gapfc.sweep.claim import Claim, claim_path
from gapfc.sweep.outcomes import LEFT, Outcome, Outcomes, key
from gapfc.sweep.share import Share
from gapfc.system.launched import adopt_tasks, by_submitit, follows, launched
from gapfc.system.parent import once_gone, stop
from gapfc.system.terminal import print_error

REQUEUED = -1  # by which submitit ends a job that Slurm has preempted and will begin again
STOPPED = 130  # exit code of a run that was not begun because the sweep is stopping
WAITS = "another sweep is at work on it: left for later"
_orphaned = threading.Event()  # whether the sweep that started this process is gone


class _Claimed(Exception):
    """Another process is at work on the run; its argument: the path of the claim."""


class Task(Protocol):
    """What runs a command: `command` is its name."""

    command: str

    def __call__(
        self, config: DictConfig, show: Callable[[object], None]
    ) -> tuple[int, str | None]:
        """Run; the exit code, and the reason of a failure. `show` is given the user's errors."""

    def check_sources(self, config: DictConfig) -> None:
        """Raise UserError for what a run on this machine would not find: images, a source."""

    def follow(self) -> int:
        """Take part in a run of which another process is the first; the exit code."""

    def leave(self) -> None:
        """Let go the processes that take part in this one's run."""

    def after_sweep(self, output_root: str) -> None:
        """Sum up the runs below `output_root`, once all of a sweep have ended. Never raises."""


@dataclass
class Worker:
    """Hydra's task function within a sweep. It is pickled and goes to other processes.

    Attributes:
        task: the command's own.
        folder: where the sweep was started; paths of data and outputs are relative to it.
        outcomes: where to record how the run ended.
        quiet: write nothing to the terminal, since others do so at the same time.
        share: what the run may use of the machine.
        parent: the process that starts those of the runs, which end with it; None: a scheduler.
    """

    task: Task
    folder: str
    outcomes: Outcomes | None = None
    quiet: bool = False
    share: Share | None = None
    parent: int | None = None

    def __call__(self, config: DictConfig) -> int:
        """Run, record how it ended, return the exit code. Only a closed terminal raises."""
        if Path(self.folder).is_dir():
            os.chdir(self.folder)
        in_tasks = adopt_tasks()
        if in_tasks and self.share is not None:
            # Of one run: each of its processes takes its GPU by its number among them.
            self.share = replace(
                self.share, threads=max(1, self.share.threads // launched()), gpus=()
            )
            self.share.take(Path(self.folder))
        if follows():
            return self.task.follow()
        try:
            return self._first(config)
        finally:
            if in_tasks:
                self.task.leave()
            if _orphaned.is_set():
                os._exit(1)  # nobody is left to take the result, and joblib's worker would wait

    def _first(self, config: DictConfig) -> int:
        assert self.outcomes is not None
        run = key(HydraConfig.get().overrides.task)
        if self.parent is not None and self.parent != os.getpid():
            _end_with(self.parent)
        if self.outcomes.stopping or _orphaned.is_set():
            return STOPPED
        try:
            claim = self._claim(config)
        except _Claimed as taken:
            if not self.quiet:
                print(f"  {WAITS}", flush=True)
            self.outcomes.end(run, Outcome(LEFT, reason=WAITS, path=str(taken)))
            return LEFT
        try:
            return self._run(run, config)
        finally:
            if claim is not None:
                claim.release()

    def _claim(self, config: DictConfig) -> Claim | None:
        try:
            if config.rerun or config.resume is not None:
                return None
            path = claim_path(self.task.command, without_hydra(config))
        except (OmegaConfBaseException, AttributeError, KeyError, TypeError):
            return None  # the run itself will say what is wrong with its settings
        try:
            return Claim(path)
        except UserError:
            raise _Claimed(path) from None
        except OSError:
            return None  # the run itself will say what is wrong with the disk

    def _run(self, run: str, config: DictConfig) -> int:
        assert self.outcomes is not None
        self.outcomes.begin(run)
        start = time.monotonic()
        code, reason = 1, None
        try:
            if self.share is not None:
                self.share.take(self.outcomes.folder)
            if self.quiet:
                _silence(config)
            code, reason = self.task(config, _nothing if self.quiet else print_error)
        except SystemExit as end:
            code = REQUEUED if by_submitit() and end.code == REQUEUED else code
            raise
        finally:
            if code != REQUEUED:  # else it goes on in another process
                path, recorded = _recorded(self.task.command, config)
                if code:
                    reason = reason or recorded or f"exit code {code}"
                seconds = time.monotonic() - start
                self.outcomes.end(run, Outcome(code, seconds, reason, path))
        return code


def without_hydra(config: DictConfig) -> dict[str, Any]:
    """The config as plain containers, without Hydra's own part."""
    copy = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
    return plain(copy)


def _recorded(command: str, config: DictConfig) -> tuple[str | None, str | None]:
    """Path and error of the run that `config` has led to, as far as is known here."""
    try:
        found = earlier_run(command, without_hydra(config))
    except Exception:  # how a run ended must not be lost over mere detail
        return None, None
    return (str(found.path), found.results.get("error")) if found else (None, None)


def _end_with(parent: int) -> None:
    """Stop this process, with its state saved, once `parent` is gone.

    joblib's workers don't notice that, and would train on.
    """

    def orphaned() -> None:
        _orphaned.set()
        stop()

    if os.getppid() != parent:
        _orphaned.set()
    else:
        once_gone(parent, orphaned)


def _silence(config: DictConfig) -> None:
    """Leave the terminal to the sweep's own lines; run.log has everything."""
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.CRITICAL + 1)
    if config.trainer.progress == "auto":
        config.trainer.progress = False


def _nothing(error: object) -> None:
    pass
