"""A command that trains: a run in its own directory, or the rest of an interrupted one."""

import logging
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gapfc.engine.device import choose_device
from gapfc.engine.gather import gather
from gapfc.engine.length import planned_epochs
from gapfc.engine.out_of_memory import advice, is_out_of_memory
from gapfc.errors import UserError
from gapfc.experiment.console import resuming
from gapfc.experiment.execute import execute
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.experiment.probing import add
from gapfc.experiment.results import results_of
from gapfc.formatting import from_here
from gapfc.records.faults import disk_fault
from gapfc.records.identity import check_changeable
from gapfc.records.metrics_csv import METRICS, read_rows
from gapfc.records.predictions import PREDICTIONS
from gapfc.records.probes import missing_probes, probe_files
from gapfc.records.results import RESULTS
from gapfc.records.run import Run, earlier_run, open_run
from gapfc.records.run_directory import CONFIG, RunDirectory
from gapfc.records.run_log import holding
from gapfc.settings.explain import explain_in_run
from gapfc.settings.kinds import check_settings
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched, admit
from gapfc.system.interruption import Interrupted

log = logging.getLogger(__name__)

Build = Callable[[DictConfig], Experiment]


def begin(asked: Invocation, build: Build) -> int:
    """Carry out a new run; in a sweep, the rest of one already in output_root.

    Args:
        asked: what to run.
        build: config -> experiment.

    Returns:
        The exit code: 0 completed, 1 failed, 129, 130 or 143 interrupted.

    Raises:
        UserError: where the experiment cannot be built.
    """
    config = asked.config
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    earlier = None if config.rerun else earlier_run(asked.command, plain(config))
    if earlier is not None and in_sweep:
        return _pick_up(asked, earlier, build)
    if earlier is not None and earlier.status == "interrupted":
        log.info("This is a new run. To go on with the interrupted one of the same settings:")
        log.info("  %s", resuming(asked.command, earlier.path))
    elif earlier is not None and earlier.status == "completed":
        log.info("This repeats a run that is done (with -m it would be left alone):")
        log.info("  %s", from_here(earlier.path))
    try:
        with holding() as held:
            experiment = built(build, config)
    except Exception as error:
        # A single run with a wrong setting leaves nothing behind; a sweep must account for all its
        # runs.
        if in_sweep:
            directory = asked.new_directory()
            reason = explain_in_run(error) or f"{type(error).__name__}: {error}"
            directory.write_results(results_of(asked, "failed", reason))
            directory.close()
        raise
    return execute(asked, experiment, asked.new_directory(), held)


def _pick_up(asked: Invocation, earlier: Run, build: Build) -> int:
    probes = missing_probes(earlier.path, asked.config.trainer.probes)
    if earlier.completed and probes:
        log.info("already there: its probes are added  %s", earlier.path)
        try:
            add(built(build, asked.config), earlier, probes)
        except Interrupted as stop:
            return stop.exit_code
        return 0
    if earlier.completed:
        log.info("already there: skipped  %s", earlier.path)
        return 0
    log.info("already there, %s: continued  %s", earlier.status, earlier.path)
    root = asked.config.data_root
    moved = str(root) != str(earlier.config.get("data_root"))
    changes = [f"data_root={root}"] if moved else []
    return resume(asked.command, str(earlier.path), changes, build, Vouched.by(asked.config))


def resume(command: str, path: str, changes: list[str], build: Build, vouched: Vouched) -> int:
    """Carry out the rest of the run at `path`.

    Args:
        command: train or transfer.
        path: of the run directory.
        changes: the overrides that were typed.
        build: config -> experiment.
        vouched: what the stored config may name beyond gapfc's own classes.

    Returns the exit code. Raises UserError if it cannot be resumed, or not with these changes.
    """
    before = open_run(path)
    if before.command != command:
        other = f"gapfc {before.command}"
        raise UserError(f"{path} is a run of {other}: {other} resume={path}")
    config = admit(before.config, before.path / CONFIG, vouched)
    try:
        check_settings(config)
    except UserError as error:
        raise UserError(f"{before.path / CONFIG}: {error}") from error
    overrides = list(before.overrides)
    for change in changes:
        key, _, value = change.partition("=")
        if key in ("resume", "trust"):
            continue
        check_changeable(key)
        OmegaConf.update(config, key, OmegaConf.create(f"value: {value}").value)
        overrides = [o for o in overrides if o.partition("=")[0] != key] + [change]
    directory = RunDirectory.resume(before.path)
    try:
        with holding() as held:
            experiment = built(build, config)
            _check_unfinished(before, experiment)
            # Nothing is written before all that was read is found to be sound.
            found = experiment.restore(directory.checkpoints)
            done = experiment.training.progress.epoch
            _check_recorded(before, found, done)
            if experiment.settings.epochs < done:
                raise UserError(
                    f"trainer.epochs={experiment.settings.epochs} is less than the {done} epochs "
                    f"that {before.path} has trained already"
                )
        experiment.rewind(directory, found)
        asked = Invocation(command, config, overrides)
        asked.write_config(directory)
        # They are about fewer epochs, and would stay so if this run were killed.
        for name in (RESULTS, PREDICTIONS):
            (directory.path / name).unlink(missing_ok=True)
        for file in probe_files(directory.path):
            file.unlink()
    except BaseException as error:
        directory.close()
        if isinstance(error, OSError) and (fault := disk_fault(error, directory.path, command)):
            raise UserError(fault) from error
        raise
    return execute(asked, experiment, directory, held)


def built(build: Build, config: DictConfig) -> Experiment:
    """The experiment; UserError with what to try if there is not enough memory for it."""
    gather(config.trainer)
    try:
        return build(config)
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(advice(config, choose_device(config.trainer.device).type)) from error
        raise


def _check_unfinished(before: Run, experiment: Experiment) -> None:
    if not before.completed:
        return
    path, done = before.path, before.results["epochs"] or 0
    if not experiment.takes_epochs:
        raise UserError(
            f"{path} is complete: a probe is solved only once; more epochs add nothing."
        )
    if done < planned_epochs(before.config, len(experiment.dataset.train)):
        raise UserError(f"{path} is complete: early stopping ended it after {done} epochs.")
    if done >= experiment.settings.epochs:
        raise UserError(
            f"{path} is complete: {done} epochs. trainer.epochs={2 * done} would train it on."
        )


def _check_recorded(before: Run, checkpoint: Path | None, epoch: int) -> None:
    """No more is recorded than the checkpoint holds, or training on would do away with it.

    checkpoint: its path, None if there is none; epoch: that it is of.
    """
    path, done = before.path, before.results.get("epochs") or 0
    if checkpoint is None:
        # The first epoch is recorded before its checkpoint is written.
        if before.completed or done > 1 or _epochs_in_table(path / METRICS) > 1:
            raise UserError(
                f"{path} has been trained, but its checkpoints are missing: resume would begin "
                "anew, over what is recorded there. Put checkpoints/last.pt back, or start a new "
                "run."
            )
    elif before.completed and epoch + 1 < done:  # previous.pt may stand in for last.pt
        raise UserError(
            f"{checkpoint} is of epoch {epoch}, but the run is complete with {done}: resume would "
            "train over its results. Put the last checkpoint back, or start a new run."
        )


def _epochs_in_table(metrics: Path) -> int:
    if not metrics.exists():
        return 0
    try:
        return len(read_rows(metrics))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{metrics} {error}, and there is no checkpoint: nothing tells how far the run had "
            "come. Delete the run, or metrics.csv, to begin anew."
        ) from error
