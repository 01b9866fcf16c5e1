"""A command that trains: a run in a directory of its own, or the rest of one."""

import logging
from collections.abc import Callable
from typing import cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gapfc.engine.device import choose_device
from gapfc.errors import UserError
from gapfc.experiment.execute import create_directory, execute, identify, typed, write_config
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.out_of_memory import advice, is_out_of_memory
from gapfc.records.results import RESULTS, build_results, read_results
from gapfc.records.run import Earlier, earlier_run
from gapfc.records.run_directory import CONFIG, RunDirectory
from gapfc.records.run_log import holding
from gapfc.settings.explain import explain_in_run
from gapfc.settings.nodes import plain

log = logging.getLogger(__name__)

# What a resumed run may be given anew; everything else is as it was.
CHANGEABLE = ("trainer.epochs", "trainer.device", "trainer.progress", "data_root")

Build = Callable[[DictConfig], Experiment]


def begin(command: str, config: DictConfig, overrides: list[str], build: Build) -> int:
    """Carry out a new run; in a sweep, the rest of one that output_root holds already.

    Args:
        command: that was typed.
        config: what to run.
        overrides: that were typed behind the command.
        build: config -> experiment.

    Returns:
        The exit code: 0 completed, 1 failed, 130 or 143 interrupted.

    Raises:
        UserError: where the experiment cannot be built.
    """
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    earlier = earlier_run(command, plain(config)) if in_sweep and not config.rerun else None
    if earlier is not None:
        return _pick_up(command, earlier, config, build)
    identity = identify(command, config, overrides)
    try:
        with holding() as held:
            experiment = built(build, config)
    except Exception as error:
        # Alone, a wrong setting leaves nothing behind; a sweep's run must not be missing from it.
        if in_sweep:
            directory = create_directory(command, config, overrides)
            reason = explain_in_run(error) or f"{type(error).__name__}: {error}"
            directory.write_results(build_results(**identity, status="failed", error=reason))
            directory.close()
        raise
    identity["group"] = experiment.group
    return execute(experiment, create_directory(command, config, overrides), identity, held)


def _pick_up(command: str, earlier: Earlier, config: DictConfig, build: Build) -> int:
    if earlier.status == "completed":
        log.info("already there: skipped  %s", earlier.path)
        return 0
    log.info("already there, %s: continued  %s", earlier.status, earlier.path)
    moved = str(config.data_root) != earlier.data_root
    return resume(
        command, str(earlier.path), [f"data_root={config.data_root}"] if moved else [], build
    )


def resume(command: str, path: str, changes: list[str], build: Build) -> int:
    """Carry out the rest of the run at `path`; `changes`: the overrides that were typed.

    Returns the exit code. Raises UserError where it cannot be resumed, or not so.
    """
    directory = RunDirectory.resume(path)
    begun, overrides = typed(directory.path / CONFIG)
    if begun != command:
        raise UserError(f"{path} is a run of gapfc {begun}: gapfc {begun} resume={path}")
    config = cast(DictConfig, OmegaConf.load(directory.path / CONFIG))
    planned = config.trainer.epochs
    for change in changes:
        key, _, value = change.partition("=")
        if key == "resume":
            continue
        if key not in CHANGEABLE:
            raise UserError(
                f"resume continues a run as it was configured: {key} can't change. "
                f"Only {', '.join(CHANGEABLE)} can."
            )
        OmegaConf.update(config, key, OmegaConf.create(f"value: {value}").value)
        overrides = [o for o in overrides if o.partition("=")[0] != key] + [change]
    with holding() as held:
        experiment = built(build, config)
    _check_unfinished(directory, planned, experiment)
    experiment.resume(directory)
    write_config(directory, command, config, overrides)
    # They speak of fewer epochs, and would go on to do so if this run were killed.
    (directory.path / RESULTS).unlink(missing_ok=True)
    identity = identify(command, config, overrides) | {"group": experiment.group}
    return execute(experiment, directory, identity, held)


def built(build: Build, config: DictConfig) -> Experiment:
    """The experiment; UserError with what to try where memory does not suffice for it."""
    try:
        return build(config)
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(advice(config, choose_device(config.trainer.device).type)) from error
        raise


def _check_unfinished(directory: RunDirectory, planned: int, experiment: Experiment) -> None:
    if not (directory.path / RESULTS).exists():
        return
    before = read_results(directory.path)
    if before["status"] != "completed":
        return
    if not experiment.takes_epochs:
        raise UserError(
            f"{directory.path} is complete: a probe is solved for once, no epochs add to it."
        )
    if before["epochs"] < planned:
        raise UserError(
            f"{directory.path} is complete: early stopping ended it after {before['epochs']} "
            "epochs."
        )
    if before["epochs"] >= experiment.settings.epochs:
        raise UserError(
            f"{directory.path} is complete: {before['epochs']} epochs. "
            f"trainer.epochs={2 * before['epochs']} would train it on."
        )
