"""The comments of a YAML file: what its keys mean, in the words of their authors."""

import re
from collections.abc import Iterator

import yaml


def heading(text: str) -> str:
    """The first comment line of a file: what this choice is. Empty if there is none."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# @package"):
            continue
        return stripped.lstrip("# ") if stripped.startswith("#") else ""
    return ""


def key_comments(text: str) -> dict[str, str]:
    """Dotted key -> the comment behind its value, with the comment lines right below that one.

    A key without a comment of its own takes the comment lines right above it, if any.
    """
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        return {}
    return dict(_comments(root, text.splitlines(), ""))


def _comments(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        nested = isinstance(value, yaml.MappingNode) and not value.flow_style
        end = key.end_mark if nested else value.end_mark
        # A block sequence ends where the next token starts: its comment stands behind its key.
        if isinstance(value, yaml.SequenceNode) and not value.flow_style:
            end = key.end_mark
        comment = _behind(lines, end.line, end.column) or _above(lines, key.start_mark.line)
        if comment:
            yield path, comment
        if isinstance(value, yaml.MappingNode):
            yield from _comments(value, lines, f"{path}.")


def _behind(lines: list[str], row: int, column: int) -> str:
    # An empty last value ends behind the last line.
    found = re.match(r":?\s*#+\s*(.*)", lines[row][column:]) if row < len(lines) else None
    if found is None:
        return ""
    words = [found[1]]
    at = lines[row].index("#", column)
    for line in lines[row + 1 :]:
        if line.strip().startswith("#") and line.index("#") == at:
            words.append(line.strip().lstrip("# "))
        else:
            break
    return " ".join(words).strip()


def _above(lines: list[str], row: int) -> str:
    words: list[str] = []
    indent = len(lines[row]) - len(lines[row].lstrip())
    for line in reversed(lines[:row]):
        if line.strip().startswith("#") and line.index("#") == indent:
            words.insert(0, line.strip().lstrip("# "))
        else:
            break
    # A comment that begins the file is its heading, not a key's.
    return " ".join(words) if row > len(words) else ""
