"""Hydra's and OmegaConf's errors, reworded for someone who mistyped a setting."""

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from traceback import extract_tb
from typing import Any

from hydra.errors import (
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from gapfc.errors import UserError
from gapfc.formatting import first_line, from_here
from gapfc.settings.compose import CLAIM, ONE_CHOICE, Composer, CompositionError, listed
from gapfc.settings.kinds import ARGUMENTS, KINDS
from gapfc.settings.owners import one_of, owners

SHIPPED = ("gapfc", "torch", "torchvision")
MISFIT = r"operator torchvision::\w+ does not exist"


def explain(error: BaseException, command: str, config_name: str, arguments: list[str]) -> str:
    """Say in one or two lines what was wrong with the settings in `arguments`."""
    said = _explained(error, command, config_name, arguments)
    return re.sub(r"\S{200,}", lambda long: f"{long[0][:100]}…", said)


def _explained(error: BaseException, command: str, config_name: str, arguments: list[str]) -> str:
    first = _said(error)
    if isinstance(error, RecursionError):
        return "a value is nested too deeply: settings are numbers, words and lists of them"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_choice(error.missing_cfg_file, error.options or (), Composer(arguments))
    if isinstance(error, OverrideParseException) and str(error.override).isalnum():
        if spaced := _spaced(arguments):
            return spaced
        return _without_value(str(error.override), command, config_name, Composer([]))
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read {error.override!r}: settings are written key=value.\n"
            "Quote anything with spaces, brackets or commas for the shell: 'head.levels=[1,2,4]'"
        )
    if found := re.match(r"Could not override '(.+?)'", first):
        return unknown_key(found[1], command, config_name, Composer(arguments))
    if found := re.match(r"Override (\S+) looks like a config group", first):
        group = found[1].lstrip("+~").split("=")[0]
        near = _near(group, Composer(arguments).groups())
        return f"no group '{group}'{near} (gapfc {command} --help)"
    if found := re.match(r"Ambiguous value for argument '(.+)'", first):
        typed = found[1].lstrip("+")
        key, _, values = typed.partition("=")
        or_list = f", or write '{key}=[{values}]' for a list"
        kind = KINDS.get(key) or ARGUMENTS.get(key)
        as_list = OmegaConf.to_container(OmegaConf.create(f"[{values}]"))
        takes_list = kind is None or kind.allows(as_list)
        if key in Composer(arguments).groups() or not takes_list:
            or_list = ""
        return f"{typed} is several values: add -m to run once for each{or_list}"
    if found := re.match(r"Could not append to config.*'(.+)'", first):
        return f"'{found[1]}' already exists: leave out the + to change it"
    if found := re.match(r"Error merging override (.+)", first):
        return f"{found[1]} cannot be set: {_said(error.__cause__ or error)}"
    return explain_in_run(error) or first


def explain_in_run(error: BaseException) -> str | None:
    """The message of an error the user can fix, or None if a traceback is due."""
    for link in _causes(error):
        if isinstance(link, UserError):
            return str(link)
        if isinstance(link, RuntimeError) and re.match(MISFIT, str(link)):
            return _misfit()
    if isinstance(error, InstantiationException):
        return _instantiation(error)
    if isinstance(error, MissingMandatoryValue):
        return f"a setting needs a value: {_said(error)}"
    if isinstance(error, InterpolationKeyError | InterpolationResolutionError | GrammarParseError):
        key = getattr(error, "full_key", None)
        return f"{key}: {_said(error)}" if key else _said(error)
    return None


def from_own_code(error: BaseException, config: Mapping[str, Any]) -> str | None:
    """Which line of a class of the user's own, such as a head, has led to an error, if one has.

    config: of the run; what is named in it but comes with gapfc or torch is nobody's own.
    """
    frames = [frame for link in _causes(error) for frame in extract_tb(link.__traceback__)]
    for part in ONE_CHOICE:
        target = ""
        with suppress(OmegaConfBaseException):
            target = str((config.get(part) or {}).get("_target_"))
        module = target.rpartition(".")[0]
        file = getattr(sys.modules.get(module), "__file__", None)
        lines = [frame.lineno for frame in frames if frame.filename == file]
        if lines and module.partition(".")[0] not in SHIPPED:
            where = f"{from_here(str(file))}, line {lines[-1]}"
            return f"this came from {where}: the file of {part}._target_={target}"
    return None


def _misfit() -> str:
    """Each torchvision is compiled for one torch; with another, importing it fails."""
    both = " and ".join(f"{name} {version(name)}" for name in ("torch", "torchvision"))
    return (
        f"{both} do not fit together: install both anew, from one index "
        "(pip install --force-reinstall torch torchvision)"
    )


def _instantiation(error: InstantiationException) -> str | None:
    text = str(error)
    full_key = re.search(r"full_key: (\S+)", text)
    where = f"{full_key[1]}: " if full_key else ""
    if found := re.match(r"Error locating target '(.+?)'", text):
        return f"{where}there is no {found[1]} (_target_ is a dotted name that Python can import)"
    cause_text = str(error.__cause__)
    if isinstance(error.__cause__, TypeError) and re.search(
        r"unexpected keyword argument|required (positional|keyword-only) argument", cause_text
    ):
        return f"{where}{cause_text}"
    return None


def _unknown_choice(path: str, options: Sequence[str], composer: Composer) -> str:
    # A choice may be typed as a path, head=../x; the longest group is the one that was meant.
    groups = composer.groups()
    known = [name for name in groups if path.startswith(f"{name}/")]
    group = max(known, key=len, default=path.rpartition("/")[0])
    choice = path[len(group) + 1 :]
    # Of one among several, experiment=[a,b], Hydra does not say what there is.
    choices = listed(options) or groups.get(group)
    if not choices:
        return f"no group '{group}'{_near(group, groups)}"
    near = _near(choice, choices)
    own = "" if composer.config_dir else f", and those in {group}/ of a --config-dir"
    return f"{group}={choice}: no such {group}{near}\n{group} takes {', '.join(choices)}{own}"


def _spaced(arguments: Sequence[str]) -> str | None:
    """What to say of `head = gap` and `head=gap, fc`, which a shell hands over in pieces.

    arguments: those with a = come last.
    """
    bare = [word for word in arguments if "=" not in word and not word.startswith("-")]
    if "=" in arguments and len(bare) > 1:
        return f"settings are written without spaces: {bare[0]}={bare[1]}"
    cut = [word for word in arguments if "=" in word and word.endswith(",")]
    return f"lists are written without spaces: {cut[0]}{bare[0]}" if cut and bare else None


def _without_value(word: str, command: str, config_name: str, composer: Composer) -> str:
    """Say of a word that stands alone what it may be the key or the value of."""
    groups = composer.offered(config_name)
    meant = [f"{group}={word}" for group, choices in groups.items() if word in choices]
    if config_name == "claims" and (word.isdigit() or word in composer.choices(CLAIM)):
        meant.append(f"only={word}")
    if word in groups:
        said = f"'{word}' needs a choice: {word}={groups[word][0]}, for example"
    elif word in composer.compose(config_name):
        said = f"'{word}' needs a value: {word}=…"
    elif meant:
        said = f"'{word}' is no setting; did you mean {' or '.join(meant)}?"
    else:
        said = f"'{word}' is no setting: those are written key=value"
    return f"{said} (gapfc {command} --help)"


def unknown_key(key: str, command: str, config_name: str, composer: Composer) -> str:
    """Say that nothing reads `key`, and which keys are close to it."""
    rest = [text for text in composer.overrides if not text.lstrip("+~").startswith(f"{key}=")]
    try:
        config = composer.compose(config_name, rest)
    except CompositionError:
        config = composer.compose(config_name, [])  # another setting is wrong too
    parent, _, leaf = key.rpartition(".")
    if command == "transfer" and parent.split(".")[0] == "backbone":
        return (
            f"no setting '{key}': the backbone is the source's. For sources that are trained here: "
            f"++source.options.{key}=…"
        )
    group = key.partition(".")[0]
    if group in ONE_CHOICE and group in config and (found := owners(key, composer)):
        take = found[0] if len(found) == 1 else "one of them"
        return f"'{key}' belongs to {one_of(found)}: take {take}\n{_takes(group, config[group])}"
    siblings = OmegaConf.select(config, parent) if parent else config
    if parent and isinstance(siblings, DictConfig):
        elsewhere = [name for name in _keys(config) if name.endswith(f".{leaf}")][:3]
        near = f"; did you mean {' or '.join(elsewhere)}?" if elsewhere else ""
        near = _near(leaf, _shown(siblings), f"{parent}.") or near
        return f"no setting '{key}'{near}\n{_takes(parent, siblings)}"
    below = [name for name in _keys(config) if name.endswith(f".{key}")][:3]
    near = f"; did you mean {' or '.join(below)}?" if below else ""
    near = near or _near(key, {*map(str, config), *composer.groups()})
    return f"no setting '{key}'{near}\ngapfc {command} --help lists all of them"


def _takes(key: str, node: DictConfig) -> str:
    chosen = f" ({node.get('name')})" if "name" in node else ""
    return f"{key}{chosen} takes {', '.join(_shown(node))}"


def _shown(node: DictConfig) -> list[str]:
    return [str(name) for name in node if not str(name).startswith("_")]


def _near(word: str, words: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(word, list(words), n=2, cutoff=0.55)
    return f"; did you mean {' or '.join(prefix + name for name in near)}?" if near else ""


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in map(str, config):
        yield f"{prefix}{key}"
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
            yield from _keys(node, f"{prefix}{key}.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _said(error: BaseException) -> str:
    return first_line(str(error)) or type(error).__name__
