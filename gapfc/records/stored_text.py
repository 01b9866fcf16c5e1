"""Text files of a run directory, read as what they are: a stranger's word."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML built without libyaml: the same result, about ten times slower
    from yaml import SafeLoader as Loader

MIB = 2**20
LARGEST_INTEGER = 2**63 - 1
DEEPEST = 50  # what gapfc writes has some six levels


def read_text(path: Path, most: int) -> str:
    """The UTF-8 text of a file; for the rest as `read_bytes`."""
    return read_bytes(path, most).decode("utf-8")


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Anything else that bears its name (a pipe, a device) is not waited for. Raises OSError, or
    ValueError saying what is wrong with it.
    """
    # O_NONBLOCK: opening a named pipe would otherwise wait until someone writes to it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most // MIB} MiB")
    return content


def parse_yaml(text: str) -> Any:
    """Plain dicts with text keys, lists and scalars.

    Aliases are refused, with which a few lines unfold to gigabytes. Raises ValueError.
    """
    try:
        # Only these characters make aliases, and most configs have neither.
        if "*" in text or "&" in text:
            for event in yaml.parse(text, Loader):
                if isinstance(event, yaml.AliasEvent):
                    raise ValueError(f"it has an alias, *{event.anchor}")
        found = yaml.load(text, Loader)
    except (yaml.YAMLError, AttributeError, TypeError) as error:  # the latter two: PyYAML's bugs
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_plain(found)
    return found


def parse_json(text: str) -> Any:
    """Plain dicts, lists and scalars; numbers fit a float. Raises ValueError."""
    try:
        found = json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_plain(found)
    if "\\ud" in text.lower():
        # Half of a surrogate pair: Python takes it, but it can't be written anywhere.
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("it has text that is not Unicode") from error
    return found


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > LARGEST_INTEGER:
        raise ValueError(f"the number {text[:20]}… is too large")
    return int(text)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number that JSON has")


def _check_plain(value: Any, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"its key {key!r} is not text")
            _check_plain(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, depth + 1)
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise ValueError(f"the number {str(value)[:20]}… is too large")
    elif not (value is None or isinstance(value, str | int | float)):
        raise ValueError(f"it has a {type(value).__name__}, which no setting is")
