"""The gate through which a stored config becomes settings to build from.

A `_target_` is called. What a run directory or a checkpoint says is a stranger's word, so it may
name only what gapfc ships, an optimiser of torch, or what the user vouches for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gapfc.errors import UserError
from gapfc.formatting import printable
from gapfc.settings.paths import CONFIGS

TARGET = "_target_"
# The groups whose choices are built by their `_target_`.
BUILT = ("backbone", "head", "dataset", "optimizer", "schedule")
# Providers in Hydra's search path that are not the user's own.
_OURS = ("hydra", "main", "schema")


@dataclass(frozen=True)
class Vouched:
    """What the user answers for on the command line.

    Attributes:
        everything: `trust=true`.
        targets: named in what was typed, in `--config-dir`, and by installed plugins.
        how: what a user does to vouch for more.
    """

    everything: bool = False
    targets: frozenset[str] = frozenset()
    how: str = "trust=true, or the --config-dir it was made with"

    @classmethod
    def of(cls, trust: bool, config_dir: str | Path | None) -> "Vouched":
        """By one who composes no settings. UserError if `config_dir` is no folder of configs."""
        targets = set()
        if config_dir is not None:
            folder = Path(config_dir).expanduser()
            if not folder.is_dir():
                raise UserError(f"config_dir={config_dir}: there is no such folder")
            try:
                targets = _targets_below(folder)
            except (OSError, ValueError, yaml.YAMLError) as error:
                raise UserError(f"config_dir={config_dir} cannot be read: {error}") from error
        return cls(trust is True, frozenset(targets))

    @classmethod
    def by(cls, config: DictConfig) -> "Vouched":
        """By the command at hand, whose composed settings are `config`; never a stored one."""
        targets = set(_targets(OmegaConf.to_container(config)))
        for source in HydraConfig.get().runtime.config_sources:
            if source.provider not in _OURS:
                scheme, _, place = source.path.partition("://")
                root = Path(str(files(place))) if scheme == "pkg" else Path(place)
                targets |= _targets_below(root)
        return cls(config.trust is True, frozenset(targets))


def admit(config: Mapping[str, Any], where: str | Path, vouched: Vouched) -> DictConfig:
    """`config`, as it was stored in `where`, as settings.

    The whole tree is walked before anything is imported. Raises UserError for what only the user
    may say: a class that is unknown here, Hydra's other keys of its kind, an interpolation (a
    stored config is resolved), and settings of Hydra itself.
    """
    refuse = partial(_refuse, where, vouched.how)
    for path, key, value in _entries(config):
        node = ".".join((*path, key))
        if (isinstance(value, str) and "${" in value) or "${" in key:
            refuse(node, value, "refers to another setting, and stored settings never do")
        if key == "hydra" and not path:
            refuse(node, "…", "is of Hydra itself")
        if vouched.everything or not re.fullmatch("_.*_", key):
            continue
        if key != TARGET or not isinstance(value, str):
            refuse(node, value, "decides what is run")
        known = len(path) == 1 and path[0] in BUILT and _is_known(path[0], value)
        if not known and value not in vouched.targets:
            refuse(node, value, "is not one of gapfc's classes")
    return OmegaConf.create(dict(config))


def _is_known(group: str, target: str) -> bool:
    if group == "optimizer" and (found := re.fullmatch(r"torch\.optim\.(\w+)", target)):
        optimizer = getattr(torch.optim, found[1], None)
        return isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)
    return target in _shipped(group)


@cache
def _shipped(group: str) -> frozenset[str]:
    return frozenset(_targets_below(CONFIGS / group))


def _targets_below(folder: Path) -> set[str]:
    files = folder.rglob("*.yaml")
    texts = (file.read_text(encoding="utf-8") for file in files)
    return {target for text in texts for target in _targets(yaml.safe_load(text))}


def _targets(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        for _, key, value in _entries(config):
            if key == TARGET and isinstance(value, str) and value != "???":
                yield value


def _entries(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """(path of the node, key, value) of all that is in `node`, at any depth."""
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
        yield path, str(key), value
        if isinstance(value, Mapping | list):
            yield from _entries(value, (*path, str(key)))


def _refuse(where: str | Path, how: str, node: str, value: Any, why: str) -> None:
    raise UserError(
        f"{where} says {printable(f'{node}={value}', 120)}, which {why}: a run that is not yours "
        f"could run any program this way.\nIf you know where it comes from: {how}. "
        "The classes' modules are looked for in the working folder."
    )
