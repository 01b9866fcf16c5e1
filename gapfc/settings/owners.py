"""Which choices of a group have a key: where someone sets one that belongs to another choice."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from gapfc.settings.compose import Composer


def owners(key: str, composer: Composer) -> list[str]:
    """`dataset.train_dir` -> `["dataset=folder"]`; nothing if no choice of the group has the key.

    If some of them have all keys of the group that `composer` was given, those alone: one of them
    is meant.
    """
    group = key.partition(".")[0]
    typed = [word.lstrip("+~").partition("=")[0] for word in composer.overrides]
    typed = [word for word in typed if word.startswith(f"{group}.")]
    having, having_all = [], []
    for choice in composer.choices(group):
        files = list(_files(composer, group, choice, set()))
        if any(_has(file, key) for file in files):
            having.append(f"{group}={choice}")
            if all(any(_has(file, each) for file in files) for each in typed):
                having_all.append(f"{group}={choice}")
    return having_all or having


def one_of(choices: Sequence[str], most: int = 3) -> str:
    """Choices as in a sentence.

    >>> one_of(["a"]), one_of(["a", "b", "c"]), one_of(["a", "b", "c", "d", "e"])
    ('a', 'a, b or c', 'a, b, c or 2 more')
    """
    more = [f"{len(choices) - most} more"] if len(choices) > most else []
    *first, last = [*choices[:most], *more]
    return f"{', '.join(first)} or {last}" if first else last


def _files(composer: Composer, group: str, choice: str, seen: set[str]) -> Iterator[Any]:
    """The content of a choice's file, and of those of its group that it builds on."""
    seen.add(choice)
    try:
        # Composing the settings with each choice in turn would take seconds.
        content = yaml.safe_load(composer.text(f"{group}/{choice}"))
    except yaml.YAMLError:
        return
    yield content
    bases = content.get("defaults") if isinstance(content, dict) else None
    for base in bases if isinstance(bases, list) else ():
        if isinstance(base, str) and base not in {"_self_", *seen}:
            yield from _files(composer, group, base, seen)


def _has(content: Any, key: str) -> bool:
    """Whether a file of the group has `group.key`."""
    for part in key.split(".")[1:]:
        if not isinstance(content, dict) or part not in content:
            return False
        content = content[part]
    return True
