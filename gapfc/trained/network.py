"""The network of a run directory: built as its config says, filled with what its best.pt holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gapfc.data.sizes import Size
from gapfc.engine import checkpoint
from gapfc.engine.stored_state import check_like
from gapfc.errors import UserError
from gapfc.model.build import rebuild
from gapfc.model.classifier import Classifier
from gapfc.records.run import Run, is_config_of_run
from gapfc.records.run_directory import CONFIG
from gapfc.settings.kinds import check_settings
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched, admit
from gapfc.transfer.protocols import protocol_of
from gapfc.transfer.target import model_nodes


def check_complete(run: Run) -> None:
    """UserError, with what to do, if `run` has not come to its end or has lost its weights."""
    if run.status in ("interrupted", "unfinished") and run.command:
        raise UserError(
            f"it is not finished ({run.reason}). Finish it: gapfc {run.command} resume={run.path}"
        )
    if not run.completed:
        raise UserError(f"it is {run.status}: {run.reason}")
    if not (run.checkpoints / checkpoint.BEST).exists():
        raise UserError("it has no checkpoints/best.pt: put its weights back, or train it anew")


def admitted(run: Run, vouched: Vouched, changes: Mapping[str, Any] | None = None) -> DictConfig:
    """The config of `run`, as settings to build from.

    Args:
        run: of `gapfc train` or `transfer`.
        vouched: what its config may name beyond gapfc's own classes.
        changes: settings by dotted key that this machine wants otherwise, such as data_root.

    Raises:
        UserError: if it is not the config of a run, or says what it may not.
    """
    where = run.path / CONFIG
    complete = run.command != "transfer" or run.config.get("protocol") is not None
    if not complete or not is_config_of_run(run.config):
        raise UserError(f"{where} is not of a run: it lacks what gapfc writes there")
    config = admit(run.config, where, vouched)
    for key, value in (changes or {}).items():
        OmegaConf.update(config, key, value)
    try:
        check_settings(config)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    return config


def untrained(run: Run, config: DictConfig, num_classes: int, size: Size) -> Classifier:
    """The network with the random weights of its seed, on the CPU, in evaluation mode.

    config: of `admitted`; size: (h, w) of the images that it is built for.
    """
    nodes = plain(config)
    if run.command == "transfer":
        nodes = model_nodes(nodes, protocol_of(config.protocol), pretrained=False)
    return rebuild(nodes, num_classes, size, config.seed)


def read_best(run: Run) -> dict[str, Any]:
    """The content of best.pt. Raises UserError if it is missing or damaged."""
    return checkpoint.load(run.checkpoints / checkpoint.BEST)


def fill(model: Classifier, run: Run, best: Mapping[str, Any]) -> None:
    """Load the weights in `best`, of `read_best`. Raises UserError if another model's."""
    try:
        check_like("model", best["model"], model.state_dict())
    except UserError as error:
        raise UserError(f"{run.checkpoints / checkpoint.BEST}: {error}") from error
    model.load_state_dict(best["model"])
