"""`gapfc train`: one run in a directory of its own, or the rest of one."""

from typing import cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gapfc.errors import UserError
from gapfc.execution import create_directory, execute, identify, typed_overrides, write_config
from gapfc.experiment import Experiment
from gapfc.records.results import RESULTS, build_results, read_results
from gapfc.records.run_directory import CONFIG, RunDirectory

# What a resumed run may be given anew; everything else is as it was.
CHANGEABLE = ("trainer.epochs", "trainer.device", "trainer.progress", "data_root")


def run(config: DictConfig) -> int:
    """Train as `config` says; returns the exit code: 0, 1 failed, 130 or 143 interrupted."""
    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    if config.resume is not None:
        return _resume(config.resume, overrides)
    identity = identify("train", config, overrides)
    try:
        experiment = Experiment(config)
    except UserError as error:
        # Alone, a wrong setting leaves nothing behind; a sweep's run must not be missing from it.
        if hydra.mode == RunMode.MULTIRUN:
            directory = create_directory("train", config, overrides)
            directory.write_results(build_results(**identity, status="failed", error=str(error)))
            directory.close()
        raise
    return execute(experiment, create_directory("train", config, overrides), identity)


def _resume(path: str, changes: list[str]) -> int:
    directory = RunDirectory.resume(path)
    overrides = typed_overrides(directory.path / CONFIG)
    config = cast(DictConfig, OmegaConf.load(directory.path / CONFIG))
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
    experiment = Experiment(config)
    experiment.resume(directory)
    _check_unfinished(experiment, directory)
    write_config(directory, "train", config, overrides)
    return execute(experiment, directory, identify("train", config, overrides))


def _check_unfinished(experiment: Experiment, directory: RunDirectory) -> None:
    if not (directory.path / RESULTS).exists():
        return
    before = read_results(directory.path)
    if before["status"] == "completed" and before["epochs"] >= experiment.settings.epochs:
        raise UserError(
            f"{directory.path} is complete: {before['epochs']} epochs. "
            f"trainer.epochs={2 * before['epochs']} would train it on."
        )
