"""`gapfc train --help`: groups, choices and keys, explained by the comments of the YAML files."""

import shutil
import textwrap
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from gapfc.cli.registry import COMMANDS
from gapfc.cli.yaml_comments import heading, key_comments
from gapfc.errors import UserError
from gapfc.formatting import printable
from gapfc.settings.compose import Composer, CompositionError
from gapfc.settings.explain import explain

SWEEP = """\
  -m, --multirun     run every combination of comma-separated values, as above
"""
FOOTER = """\
  --cfg job          print the settings instead of running; with -p optimizer,
                     those of one group; with --resolve, resolved
  --info defaults    where each setting comes from
  --config-dir DIR   a folder with choices of your own, as DIR/head/mine.yaml
  +key=value         a key that is not listed; ~key drops one
  gapfc {name} --hydra-help tells of Hydra, which reads the settings"""
# Settings of runs, below keys that say what they are.
_OF_RUNS = ("preset.settings", "preset.data")


def help_text(name: str, arguments: list[str]) -> str:
    """The help of a command, for the choices in `arguments`. Raises UserError for wrong ones."""
    command = COMMANDS[name]
    assert command.config is not None
    width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns))
    composer = Composer(arguments)
    try:
        config = composer.compose(command.config)
        defaults = composer.files(command.config)
    except CompositionError as error:
        raise UserError(explain(error, name, command.config, arguments)) from error
    choices = composer.offered(command.config, command.settles)
    comments: dict[str, str] = {}
    headings: dict[str, str] = {}
    chosen: dict[str, str] = {}
    for path, package in defaults:
        text = composer.text(path)
        comments |= {_join(package, key): comment for key, comment in key_comments(text).items()}
        if "/" in path and not path.startswith("hydra/"):
            group, _, choice = path.rpartition("/")
            chosen[group] = choice
            headings[package] = heading(text)
    longest = max(len(typed) for typed, _ in command.more)
    lines = [
        *textwrap.wrap(f"gapfc {name}: {command.summary}", width),
        "",
        f"usage: gapfc {name} [group=choice] [key=value] [options]",
        f"  $ {command.example}",
        *(f"  $ {typed:<{longest}}  {does}" for typed, does in command.more),
        "",
    ]
    if name == "claims":
        lines += [*_claims(composer, width), ""]
    lines += ["Groups of settings (group=choice; * marks the choice in use)"]
    for group, names in choices.items():
        marked = [f"{choice}*" if choice == chosen.get(group) else choice for choice in names]
        lines += _wrapped(f"  {group + '=':<12}", "  ".join(marked), width)
    lines += ["", "Keys, with their values under these choices (key=value)"]
    section = ""
    for key, value in _rows(config):
        if key in command.settles or (key.endswith(".name") and key not in comments):
            continue  # a name is the label of a choice, which its group names already
        top = key.rpartition(".")[0]
        if top.split(".")[0] != section:
            section = top.split(".")[0]
            title = headings.get(section, "")
            label = f"{section}={chosen[section]}" if section in choices else section
            lines += ["", *(_wrapped(f"  {label}: ", title, width) if title else [f"  {label}"])]
        lines += _wrapped(f"    {f'{key}={value}':<38} ", comments.get(key, ""), width)
    options = (SWEEP if command.sweeps else "") + FOOTER.format(name=name)
    return "\n".join([*lines, "", "Options", options])


def _claims(composer: Composer, width: int) -> list[str]:
    from gapfc.claims.claim_file import read_claims

    lines = ["Claims (only=number, or only=name), tested by runs that are made as needed"]
    for claim in read_claims(composer):
        label = f"  {claim.number:>2}  {printable(claim.name):<20} "
        lines += _wrapped(label, printable(claim.sentence), width)
    return lines


def _rows(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of the config as (dotted key, value as typed on a command line), plain keys first."""
    nodes = {str(key): config._get_node(key) for key in config if key != "_target_"}
    deeper = {
        key: node
        for key, node in nodes.items()
        if isinstance(node, DictConfig)
        and not (node._is_none() or node._is_interpolation() or _join(prefix, key) in _OF_RUNS)
    }
    raw = OmegaConf.to_container(config, resolve=False)
    assert isinstance(raw, dict)
    for key in [key for key in nodes if key not in deeper]:
        yield _join(prefix, key), _typed(raw[key])
    for key, node in deeper.items():
        yield from _rows(node, _join(prefix, key))


def _typed(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "…"
    if isinstance(value, list):
        return "[" + ", ".join(map(_typed, value)) + "]"
    return str(value)


def _join(package: str, key: str) -> str:
    return f"{package}.{key}" if package else key


def _wrapped(label: str, text: str, width: int) -> list[str]:
    """`label` with `text` beside it, or below it if the label is too long."""
    column = min(len(label), 43)
    body = textwrap.wrap(text, max(20, width - column)) or [""]
    if len(label) > column:
        return [label.rstrip(), *(" " * column + line for line in body if line)]
    return [(label + body[0]).rstrip(), *(" " * column + line for line in body[1:])]
