"""A source described instead of named: found among the runs, or trained first."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gapfc.engine.checkpoint import BEST
from gapfc.errors import UserError
from gapfc.experiment.begin import built
from gapfc.experiment.execute import execute
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.records.run import earlier_run
from gapfc.records.run_log import holding
from gapfc.settings.compose import Composer, CompositionError, config_dirs
from gapfc.settings.explain import explain
from gapfc.settings.kinds import check_settings
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched, admit
from gapfc.system.interruption import Interrupted
from gapfc.transfer.named import check_named
from gapfc.transfer.source import (
    PRETRAINED,
    Source,
    pretrained_source,
    read_source,
    untrained_source,
)

log = logging.getLogger(__name__)

# Where and how a source is trained is up to the command; what is trained, to `source` alone.
SHARED = (
    "data_root",
    "output_root",
    "trainer.device",
    "trainer.devices",
    "trainer.progress",
    "trainer.precision",
)


def resolve_source(config: DictConfig, vouched: Vouched, weights: bool = True) -> Source:
    """The source that `config.source` names or describes; a described one is trained if necessary.

    Args:
        config: of `gapfc transfer`.
        vouched: what the source may name beyond gapfc's own classes.
        weights: whether they are needed; without, nothing is trained.

    Raises:
        UserError: if there is none, or its training failed.
        Interrupted: if its training was.
    """
    if config.source == PRETRAINED:
        return pretrained_source(config)
    if isinstance(config.source, str):
        return read_source(config.source, vouched)
    check_named(config.source)
    overrides, train_config = _training_config(config)
    # A stored config may describe its source, and so what is composed here.
    admit(plain(train_config), "source", vouched)
    if not weights:
        return untrained_source(train_config)
    earlier = earlier_run("train", plain(train_config))
    if earlier is not None and earlier.completed and (earlier.checkpoints / BEST).exists():
        log.info("source: %s already exists", earlier.path)
        return read_source(earlier.path, vouched)
    return read_source(_train(train_config, overrides), vouched)


def _training_config(config: DictConfig) -> tuple[list[str], DictConfig]:
    """The overrides for `gapfc train` that train the source, and what they compose to."""
    source = config.source
    overrides = [
        f"backbone={source.backbone}",
        f"head={source.head}",
        f"dataset={source.dataset}",
        f"seed={source.seed}",
        *_as_overrides(plain(source.options)),
    ]
    # A stored config may describe its source, and must not lead to files beyond the groups.
    for override in overrides:
        if ".." in override or "=/" in override:
            raise UserError(f"source: {override} is no choice of a group")
    given = [override.partition("=")[0] for override in overrides]
    shared = {key: OmegaConf.select(config, key) for key in SHARED if key not in given}
    # A folder of the user's own configs applies to the source too.
    composer = Composer([word for folder in config_dirs() for word in ("--config-dir", folder)])
    try:
        composed = composer.compose("train", overrides, RunMode.RUN)
    except CompositionError as error:
        raise UserError(f"source: {explain(error, 'train', 'train', overrides)}") from error
    for key, value in shared.items():
        OmegaConf.update(composed, key, value)
    try:
        check_settings(composed)
    except UserError as error:
        raise UserError(f"source: {error}") from error
    return overrides, composed


def _as_overrides(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested options as they are typed: `trainer.epochs=4`."""
    for key, value in options.items():
        if not re.fullmatch(r"[A-Za-z_][\w.]*", key) or key.split(".")[0] == "hydra":
            raise UserError(f"source.options.{key}: gapfc train has no such setting")
        if isinstance(value, Mapping):
            yield from _as_overrides(value, f"{prefix}{key}.")
            continue
        typed = json.dumps(value)
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value):
            typed = value
        yield f"{prefix}{key}={typed}"


def _train(config: DictConfig, overrides: list[str]) -> Path:
    log.info("source: %s under %s, trained first", config.dataset.name, config.head.name)
    asked = Invocation("train", config, overrides)
    with holding() as held:
        experiment = built(Experiment, config)
    directory = asked.new_directory()
    code = execute(asked, experiment, directory, held)
    if code > 128:
        raise Interrupted(code - 128)
    if code:
        raise UserError(f"The source failed, and with it the transfer: {directory.path} tells why")
    log.info("")
    return directory.path
