"""The commands that reproduce the compared runs, from what each run recorded."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gapfc.compare.answer import Comparison
from gapfc.compare.fields import flatten, typed, value_of
from gapfc.formatting import plural, printable
from gapfc.records.identity import PLACE, SEED
from gapfc.records.run import Run

# Where a run went and how it was shown: the reader's own, not part of what was run.
PERSONAL = (SEED, *PLACE)
COMMANDS = ("train", "transfer")
# What a command tells is pasted into a shell: of a stranger's run only plain settings are told.
# None names a class or function to call (`head._target_`), refers to something else (`${oc.env:…}`)
# than its own seed (`dataset.split_seed=${seed}`), or is an option of Hydra (`--config-dir`,
# `hydra.searchpath`).
PLAIN = re.compile(r"(\+\+?|~)?(?!hydra\b)[A-Za-z]\w*([./@]\w+)*(@?:\w+)?(=.*)?")
NOT_PLAIN = re.compile(r"\b_[a-z]+_\b|\$\\*\{(?!seed\})")
MOST_WORDS, LONGEST_WORD = 400, 2000
# Hydra records these with the plus that nobody has to type.
LAID_OVER = ("+experiment=", "+recipe=")


def commands(comparison: Comparison) -> list[str]:
    """The runs as sweeps, then the comparison: `gapfc train -m head=fc,gap seed=0,1,2`.

    From results.json's `overrides` where the run recorded them: then it is what was typed, except
    for paths. Otherwise from config.yaml: groups by name and every number that is not a path.
    A run with anything but plain settings is counted in a comment, and not told.
    """
    seeds: dict[tuple[str, ...], list[int]] = defaultdict(list)
    left_out = 0
    for row in comparison.rows:
        for seed, run in row.runs.items():
            words = (str(run.results.get("command", "train")), *_overrides(run))
            if words[0] in COMMANDS and len(words) <= MOST_WORDS and all(map(_plain, words[1:])):
                seeds[words].append(seed)
            else:
                left_out += 1
    told_once = [
        (command, [*overrides, f"seed={','.join(map(str, sorted(set(numbers))))}"])
        for (command, *overrides), numbers in seeds.items()
    ]
    lines = []
    for command, told in _joined(told_once):
        several = "-m " if any("," in word and "[" not in word for word in told) else ""
        lines.append(f"gapfc {command} {several}{shlex.join(told)}")
    if left_out:
        lines.append(
            f"# Not told: {plural(left_out, 'run')} with settings that are not plain values"
        )
    lines.append(compare_command(comparison))
    return lines


def _joined(typed: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Commands that differ in the value of one override alone, as one: `head=fc,gap`.

    Override by override, so that a whole matrix of heads and protocols becomes one sweep.
    """
    commands = [(command, [_Word.of(word) for word in words]) for command, words in typed]
    for place in range(max((len(words) for _, words in commands), default=0)):
        joined: dict[tuple[object, ...], tuple[str, list[_Word]]] = {}
        for command, words in commands:
            word = words[place] if place < len(words) - 1 else None  # seeds are joined already
            if word is None or not word.plain:
                joined[len(joined), command] = command, words
                continue
            others = [other.same for other in (*words[:place], *words[place + 1 :])]
            same = (command, place, word.key, *others)
            if same in joined:
                joined[same][1][place].values += word.values
            else:
                joined[same] = command, words
        commands = list(joined.values())
    return [(command, [word.text() for word in words]) for command, words in commands]


@dataclass
class _Word:
    """An override, `key=value`, in which several values may be joined; `~key` has none."""

    key: str
    values: list[str]

    @classmethod
    def of(cls, text: str) -> _Word:
        key, equals, value = text.partition("=")
        return cls(key, [value] if equals else [])

    @property
    def plain(self) -> bool:
        """Whether other values may be added to these, separated by commas."""
        return bool(self.values) and all(
            value and not set(value) & set(",[]{}()'\"$ ") for value in self.values
        )

    @property
    def same(self) -> tuple[str, frozenset[str]]:
        """Equal for words that say the same, regardless of the order of values."""
        return self.key, frozenset(self.values)

    def text(self) -> str:
        """The override as typed. Scratch goes first: other protocols are compared with it."""
        ordered = sorted(self.values, key=lambda value: value != "scratch")
        return f"{self.key}={','.join(ordered)}" if ordered else self.key


def compare_command(comparison: Comparison) -> str:
    """The `gapfc compare` that made this comparison, without the files it wrote."""
    question = comparison.question
    words = ["gapfc", "compare", *comparison.directories, "--metric", question.metric]
    words += ["--by", ",".join(question.by), "--baseline", comparison.baseline]
    for condition in question.where:
        words += ["--where", condition]
    if question.choose:
        words += ["--choose", ",".join(question.choose)]
    if question.target is not None:
        words += ["--target", f"{question.target:g}"]
    if question.confidence != 0.95:
        words += ["--confidence", f"{question.confidence:g}"]
    if question.interval != "crossed":
        words += ["--interval", question.interval]
    if question.margin is not None:
        words += ["--margin", f"{question.margin:g}"]
    if question.direction:
        words += ["--direction", question.direction]
    return shlex.join(words)


def _overrides(run: Run) -> list[str]:
    recorded = run.results.get("overrides")
    if isinstance(recorded, Sequence) and not isinstance(recorded, str):
        # Hydra's sweeps write `$\{seed\}`, and read it as `${seed}`.
        words = [str(override).replace(r"$\{seed\}", "${seed}") for override in recorded]
        return [
            word.removeprefix("+") if word.startswith(LAID_OVER) else word
            for word in words
            if _name(word) not in PERSONAL
        ]
    return _from_config(run.config, run)


def _name(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _plain(word: str) -> bool:
    """Whether typing an override chooses a shipped group's choice or sets a value, and no more."""
    key, _, value = word.partition("=")
    elsewhere = ".." in value and "." not in key and key != "source"  # head=../../their/folder
    known = PLAIN.fullmatch(word) is not None and NOT_PLAIN.search(word) is None
    return known and not elsewhere and word == printable(word, LONGEST_WORD)


def _from_config(config: Mapping[str, object], run: Run) -> list[str]:
    """Every setting of the resolved configuration, so that later changes of defaults do no harm."""
    overrides = []
    for node in ("dataset", "backbone", "head"):
        name = value_of(run, node)
        if isinstance(config.get(node), Mapping):
            overrides.append(f"{node}={name}")
    for leaf, value in flatten(config).items():
        last = leaf.rpartition(".")[2]
        if leaf in PERSONAL or last in ("name", "_target_") or leaf.startswith("hydra"):
            continue
        if isinstance(value, (str, bool, int, float, list)) or value is None:
            overrides.append(f"{leaf}={typed(value)}")
    return overrides
