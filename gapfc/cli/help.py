"""`gapfc train --help`: groups, choices and keys, explained by the comments of the YAML files."""

import shutil
import textwrap
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from gapfc.cli.yaml_comments import heading, key_comments
from gapfc.errors import UserError
from gapfc.settings.compose import Composer, CompositionError
from gapfc.settings.explain import explain

FOOTER = """\
Options of Hydra, which reads the settings (gapfc {command} --hydra-help):
  -m, --multirun     run every combination of comma-separated values: -m head=fc,gap seed=0,1,2
  --cfg job          print the settings instead of running; with --resolve, resolved;
                     with -p head, those of one group
  --info defaults    where each setting comes from
  --config-dir DIR   a folder with groups of your own, such as DIR/head/mine.yaml
  +key=value         a key that is not listed; ~key drops one"""


def help_text(
    command: str, summary: str, example: str, config_name: str, arguments: list[str]
) -> str:
    """The help of a command, for the choices in `arguments`. Raises UserError for wrong ones."""
    width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns))
    composer = Composer(arguments)
    try:
        config = composer.compose(config_name)
        defaults = composer.files(config_name)
    except CompositionError as error:
        raise UserError(explain(error, command, config_name, arguments)) from error
    choices = composer.offered(config_name)
    comments: dict[str, str] = {}
    headings: dict[str, str] = {}
    chosen: dict[str, str] = {}
    for path, package in defaults:
        text = composer.text(path)
        comments |= {_join(package, key): comment for key, comment in key_comments(text).items()}
        if "/" in path and not path.startswith("hydra/"):
            group, _, name = path.rpartition("/")
            chosen[group] = name
            headings[package] = heading(text)
    lines = [
        f"gapfc {command}: {summary}",
        "",
        f"usage: gapfc {command} [group=choice] [key=value] [options]",
        f"  $ {example}",
        "",
        "Groups: each choice is a settings file (group=choice; * is in use, + before the others)",
    ]
    for group, names in choices.items():
        label = f"  {'' if group in chosen else '+'}{group}="
        marked = [f"{name}*" if name == chosen.get(group) else name for name in names]
        lines += _wrapped(f"{label:<14}", "  ".join(marked), width)
    lines += ["", "Keys, with their values under these choices (key=value)"]
    section = ""
    for key, value in _rows(config):
        if key.endswith(".name") and key not in comments:
            continue  # the label of a choice, which its group names already
        top = key.rpartition(".")[0]
        if top.split(".")[0] != section:
            section = top.split(".")[0]
            title = headings.get(section, "")
            label = f"{section}={chosen[section]}" if section in chosen else section
            lines += ["", *(_wrapped(f"  {label}: ", title, width) if title else [f"  {label}"])]
        lines += _wrapped(f"    {f'{key}={value}':<38} ", comments.get(key, ""), width)
    return "\n".join([*lines, "", FOOTER.format(command=command)])


def _rows(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of the config as (dotted key, value as typed on a command line), plain keys first."""
    nodes = {str(key): config._get_node(key) for key in config if key != "_target_"}
    deeper = {
        key: node
        for key, node in nodes.items()
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation()
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
