"""Settings that Hydra would accept but no command reads, or that fail later: refused at once."""

import difflib
from collections.abc import Container

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from gapfc.errors import UserError
from gapfc.settings.compose import Composer
from gapfc.settings.explain import unknown_key


def check_arguments(command: str, config_name: str, arguments: list[str]) -> None:
    """Refuse unknown options, additions that nothing reads, and words where numbers belong.

    Raises UserError, or one of CompositionError for settings that don't compose.
    """
    parser = get_args_parser()
    _, unknown = parser.parse_known_args(arguments)
    if unknown:
        options = [text for action in parser._actions for text in action.option_strings]
        near = difflib.get_close_matches(unknown[0], options, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; settings are written key=value"
        raise UserError(f"no option {unknown[0]}{hint} (gapfc {command} --help)")
    composer = Composer(arguments)
    groups = composer.groups()
    config = composer.compose(config_name)
    overrides = OverridesParser.create(config_loader=composer.loader).parse_overrides(
        composer.overrides
    )
    choices = [o.input_line for o in overrides if o.key_or_group in groups and o.input_line]
    defaults = composer.compose(config_name, choices)
    for override in overrides:
        key = override.key_or_group
        if override.is_force_add() or key.split(".")[0] == "hydra":
            continue
        if override.is_add() and key not in groups and not _goes_to_a_target(config, key):
            raise UserError(unknown_key(key, command, config_name, composer))
        if key not in groups and not override.is_delete():
            usual = OmegaConf.select(defaults, key)
            for value in _values(override, config):
                _check_type(key, usual, value)
    forced = [o.key_or_group for o in overrides if o.is_force_add()]
    for key in _unread(config, composer.compose(config_name, []), groups):
        if not any(f"{name}.".startswith(f"{key}.") for name in forced):
            files = " ".join(choices) or "a file of settings"
            raise UserError(f"{files} sets {key}, which gapfc {command} does not read")


def _values(override: Override, config: DictConfig) -> list[object]:
    """What `override` sets its key to: one value, or each that it is swept over."""
    if not override.is_sweep_override():
        return [OmegaConf.select(config, override.key_or_group)]
    if not override.is_choice_sweep():
        return []  # a range is of numbers
    plain = [Override._convert_value(value) for value in override.sweep_iterator()]
    return list(ListConfig(plain))


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


def _check_type(key: str, usual: object, value: object) -> None:
    kinds: dict[type, tuple[tuple[type, ...], str]] = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
        ListConfig: ((ListConfig,), "a list"),
    }
    if type(usual) not in kinds:
        return
    types, words = kinds[type(usual)]
    if key != "seed" and not key.startswith("trainer."):
        # An image size may be a pair and a padding null: their own code says what else they take.
        if value is None or value in ("auto", "native") or isinstance(value, ListConfig):
            return
        if types == (int,):
            types, words = (int, float), "a number"
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        example = [value] if types == (ListConfig,) else str(usual).lower()
        raise UserError(f"{key}={value}: takes {words}, such as {example}")
