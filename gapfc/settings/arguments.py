"""Settings that Hydra would accept but no command reads, or that fail later: refused at once."""

import re
from collections.abc import Container
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from gapfc.errors import UserError
from gapfc.formatting import did_you_mean
from gapfc.settings.compose import ONE_CHOICE, Composer, parsed, without_hydra
from gapfc.settings.explain import unknown_key
from gapfc.settings.kinds import check_settings, check_value
from gapfc.settings.nodes import plain
from gapfc.validators import refuse

# Where a user may set Hydra's own keys.
_OPEN = ("hydra/launcher", "hydra.launcher.", "hydra.sweeper.", "hydra.verbose", "hydra.searchpath")


def check_arguments(command: str, config_name: str, arguments: list[str]) -> None:
    """Refuse unknown options, additions that nothing reads, and wrong values.

    Raises UserError, or one of CompositionError for settings that don't compose.
    """
    options, unknown = parsed(arguments)
    if unknown:
        known = [text for action in get_args_parser()._actions for text in action.option_strings]
        hint = did_you_mean(unknown[0], known, "; settings are written key=value")
        if (group := unknown[0].lstrip("-").partition("=")[0]) in Composer([]).groups():
            hint = f"; did you mean {group}=…? Settings are written key=value"
        raise UserError(f"no option {unknown[0]}{hint} (gapfc {command} --help)")
    composer = Composer(arguments)
    groups = composer.groups()
    overrides = OverridesParser.create(config_loader=composer.loader).parse_overrides(
        composer.overrides
    )
    _check_groups(overrides, groups)
    offered = composer.offered(config_name)
    for override in (o for o in overrides if o.key_or_group in groups):
        group = override.key_or_group
        if group not in offered:
            raise UserError(f"gapfc {command} has no group {group} (gapfc {command} --help)")
        if command == "transfer" and group == "recipe" and override.value() not in offered[group]:
            raise UserError(
                f"recipe={override.value()} is not for gapfc transfer, whose protocols say what is "
                "trained: protocol=linear_probe, last_block, lp_ft or finetune"
            )
    config, usual = composer.load(config_name), composer.load(config_name, [])
    _check_hydra(overrides, config.hydra, usual.hydra)
    config, usual = without_hydra(config), without_hydra(usual)
    choices = [
        o.input_line.lstrip("+") for o in overrides if o.key_or_group in groups and o.input_line
    ]
    if dropped := [str(key) for key in usual if key not in config]:
        raise UserError(f"{dropped[0]} is missing: it can be changed, not dropped")
    for override in overrides:
        key = override.key_or_group
        if override.is_force_add() or key.split(".")[0] == "hydra":
            continue
        if override.is_add() and key not in groups and not _goes_to_a_target(config, key):
            raise UserError(unknown_key(key, command, config_name, composer))
    only_shown = options.cfg is not None or options.info is not None
    check_settings(config, complete=not only_shown)
    found = plain(config)
    for override in overrides:
        if override.key_or_group not in groups:
            _check_swept(override, found)
    forced = [o.key_or_group for o in overrides if o.is_force_add()]
    for key in _unread(config, usual, groups):
        if not any(f"{name}.".startswith(f"{key}.") for name in forced):
            files = " ".join(choices) or "a file of settings"
            raise UserError(f"{files} sets {key}, which gapfc {command} does not read")


def _check_swept(override: Override, config: dict[str, Any]) -> None:
    """Refuse values that a sweep cannot take; a comma may have been meant to make a list."""
    key, values = override.key_or_group, _swept(override)
    try:
        for value in values:
            check_value(key, value, config)
    except UserError as error:
        try:
            check_value(key, values, config)
        except UserError:
            raise error from None
        typed = override.input_line or ""
        takes = str(error).rpartition("; got ")[0]
        raise UserError(
            f"{typed} is several values, as for a sweep. {takes}: "
            f"'{key}=[{typed.partition('=')[2]}]'"
        ) from error


def _swept(override: Override) -> list[Any]:
    """The values that `override` is swept over, as far as each was typed; a range is of numbers."""
    if not override.is_choice_sweep():
        return []
    values = (Override._convert_value(value) for value in override.sweep_iterator())
    # As YAML would have them; an interpolation shows what it leads to when its run is composed.
    return [value for value in values if not (isinstance(value, str) and "${" in value)]


def _check_groups(overrides: list[Override], groups: Container[str]) -> None:
    """Refuse what names no file, before Hydra looks for it."""
    for override in overrides:
        if override.key_or_group not in groups or override.is_sweep_override():
            continue
        value = override.value()
        # Hydra would take the last of them.
        if isinstance(value, list) and override.key_or_group in ONE_CHOICE:
            words = "the name of one choice (several, without brackets, with -m)"
            refuse(override.key_or_group, words, value)
        chosen = value if isinstance(value, list) else [value]
        if isinstance(value, dict) or not all(map(_is_name, chosen if value else ())):
            refuse(override.key_or_group, "the name of a choice", value)


def _is_name(choice: object) -> bool:
    return isinstance(choice, str) and len(choice) <= 200  # no file can have a longer name


def _check_hydra(overrides: list[Override], ours: DictConfig, usual: DictConfig) -> None:
    """Refuse what would have Hydra make folders or write files, typed or in a file of settings."""
    for key in (override.key_or_group for override in overrides):
        if re.split("[./]", key)[0] == "hydra" and not key.startswith(_OPEN):
            raise UserError(
                f"{key} is not for the user to set: gapfc makes the run directories, below "
                f"output_root. Open are {', '.join(_OPEN)}"
            )
    for key in ("run", "sweep", "output_subdir", "job.chdir", "job_logging", "hydra_logging"):
        if OmegaConf.select(ours, key) != OmegaConf.select(usual, key):
            raise UserError(
                f"a file of settings sets hydra.{key}: gapfc makes the run directories, below "
                "output_root"
            )


def _unread(config: DictConfig, usual: DictConfig, groups: Container[object]) -> list[str]:
    """Keys that a chosen file adds and the command's own settings don't have.

    Hydra merges files as they come, so a slip in one would go unseen. In what goes to a `_target_`,
    the slip is noticed there.
    """
    unread = [str(key) for key in config if key not in usual and key not in groups]
    for parent in ("trainer", "augment"):
        found, expected = config.get(parent) or {}, usual.get(parent) or {}
        unread += [f"{parent}.{key}" for key in found if key not in expected]
    return unread


def _goes_to_a_target(config: DictConfig, key: str) -> bool:
    """Whether a node above `key` is built by `_target_`, which is given all keys of the node."""
    parent = key
    while "." in parent:
        parent = parent.rpartition(".")[0]
        node = OmegaConf.select(config, parent)
        if isinstance(node, DictConfig) and "_target_" in node:
            return True
    return False
