"""Which runs are asked about together: a comparison for each command, data set and backbone.

Runs on other images or another backbone answer another question. Where a folder has several such
kinds, and `--by` does not ask about them, each kind, a stratum, is compared by itself: the same
question with a `--where` or more, by which it can be asked alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from gapfc.compare.answer import Comparison, compare, must_be_measured
from gapfc.compare.collect import Collection
from gapfc.compare.fields import ABSENT, value_of
from gapfc.compare.groups import Values, check_keys
from gapfc.compare.question import Question
from gapfc.compare.where import Condition
from gapfc.errors import UserError
from gapfc.formatting import folder_name, printable, unique
from gapfc.records.identity import GROUPED_BY
from gapfc.records.run import Run

# What makes runs answers to one question, and the keys of --by that ask about it.
APART = {
    "command": ("command",),
    "dataset": ("dataset",),
    "dataset.classes": ("dataset", "dataset.classes"),
    "backbone": ("backbone",),
    "source.dataset": ("command", "source.dataset"),
    "transfer.source.classes": ("command", "source.dataset", "transfer.source.classes"),
    "source.backbone": ("command", "source.backbone"),
}
FIRST = "train"  # sources come before what was made of them
VALIDATION = "val.accuracy"


@dataclass(frozen=True)
class Stratum:
    """Runs to be compared with each other.

    name: what tells them from the other strata, `transfer, mnist`; empty if there is no other.
    file: the same as a name of files. question: as it is asked of them alone.
    """

    name: str
    file: str
    question: Question
    collection: Collection


Answered: TypeAlias = tuple[Stratum, Comparison]


@dataclass(frozen=True)
class Refused:
    """A stratum that cannot be compared, and why."""

    stratum: Stratum
    reason: str


def judged(runs: Iterable[Run]) -> str:
    """The accuracy that runs are compared by where no metric is asked for."""
    return Question.metric if any(run.results.get("test") for run in runs) else VALIDATION


def answers(
    collection: Collection,
    question: Question,
    found: int,
    usual: bool = False,
    by_accuracy: bool = False,
) -> tuple[list[Answered], list[Refused]]:
    """Each stratum's comparison, and the strata that cannot be compared.

    collection: already filtered by --where. found: runs before filtering. usual, by_accuracy: as
    for `strata`.

    Raises UserError if no stratum can be compared, or for keys and metrics that no run has.
    """
    divided = strata(collection, question, usual, by_accuracy)
    if len(divided) > 1:
        check_keys(collection.runs, question.by)
        check_keys(collection.runs, question.choose, "--choose")
        must_be_measured(collection.runs, divided[0].question.metric)
    answered: list[Answered] = []
    refused: list[Refused] = []
    for stratum in divided:
        try:
            answered.append((stratum, compare(stratum.collection, stratum.question, found)))
        except UserError as error:
            refused.append(Refused(stratum, str(error)))
    if not answered:
        raise UserError(_none(refused))
    return answered, refused


def strata(
    collection: Collection, question: Question, usual: bool = False, by_accuracy: bool = False
) -> list[Stratum]:
    """The strata of `collection` in the order of their names, training first; at least one.

    A run that did not complete is in the stratum that it would have belonged to, or in the first if
    there is no such stratum, or if it cannot be known.

    usual: group each stratum by the keys that are usual for it, whatever `question.by` says.
    by_accuracy: judge each by test accuracy, or validation accuracy where it has no test images.
    """
    if by_accuracy:
        question = replace(question, metric=judged(collection.runs))
    keys = [
        key
        for key, asks in APART.items()
        if not set(asks) & set(question.by)
        and len({_value(run, key) for run in collection.runs}) > 1
    ]
    divided: dict[Values, list[Run]] = defaultdict(list)
    for run in collection.runs:
        divided[tuple(_value(run, key) for key in keys)].append(run)
    if len(divided) < 2:
        by = _usual(collection.runs) if usual else question.by
        return [Stratum("", "", replace(question, by=by), collection)]
    ordered = sorted(
        divided, key=lambda values: (values[0] != FIRST, [(v != ABSENT, v) for v in values])
    )
    unusable: dict[Values, list[Run]] = defaultdict(list)
    for run in collection.unusable:
        values = tuple(_value(run, key) for key in keys)
        unusable[values if values in divided else ordered[0]].append(run)
    found: list[Stratum] = []
    for values in ordered:
        runs = divided[values]
        needed = _needed([_condition(key, runs) for key in keys], collection.runs)
        name = ", ".join(filter(None, map(_told, needed))) or "others"
        file = folder_name(re.sub(r"[^\w.]+", "-", name).strip("-"))
        where = (*question.where, *map(str, needed))
        asked = replace(question, where=where, by=_usual(runs) if usual else question.by)
        asked = replace(asked, metric=judged(runs)) if by_accuracy else asked
        found.append(
            Stratum(
                name,
                unique(file, [other.file for other in found]),
                asked,
                replace(
                    collection,
                    runs=runs,
                    unusable=unusable[values],
                    problems=() if found else collection.problems,
                ),
            )
        )
    return found


def _usual(runs: Sequence[Run]) -> tuple[str, ...]:
    """The keys by which runs of one command are grouped if no others are given."""
    is_transfer = any("transfer" in run.results for run in runs)
    return GROUPED_BY["transfer" if is_transfer else "train"]


def _value(run: Run, key: str) -> str:
    """A setting that is off counts as equal to one that an older gapfc did not have yet."""
    value = value_of(run, key)
    return ABSENT if value == "null" else value


def _condition(key: str, runs: Sequence[Run]) -> Condition:
    """That `key` has a value that it has in these runs."""
    return Condition(key, tuple(sorted({value_of(run, key) for run in runs})), negated=False)


def _needed(conditions: Sequence[Condition], runs: Sequence[Run]) -> list[Condition]:
    """The conditions without those that follow from the others; command and data set stay."""
    kept = list(conditions)
    for one in (each for each in reversed(conditions) if each.key not in ("command", "dataset")):
        others = [condition for condition in kept if condition != one]
        left = [run for run in runs if all(other.holds(run) for other in others)]
        if all(one.holds(run) for run in left):
            kept = others
    return kept


def _told(condition: Condition) -> str:
    """What tells it from others: `mnist`, `classes [5,6]`, `from fashion_mnist`, or nothing."""
    key, value = condition.key, condition.values[0]
    if {ABSENT, "null"} & set(condition.values):
        return "all classes" if key == "dataset.classes" else ""
    classes = "classes " if key.endswith("classes") else ""
    source = "from " if key.startswith(("source.", "transfer.source.")) else ""
    return f"{source}{classes}{value}"


def _none(refused: Sequence[Refused]) -> str:
    reasons = list(dict.fromkeys(each.reason for each in refused))
    if len(reasons) == 1:
        return reasons[0]
    told = (f"{printable(each.stratum.name)}: {each.reason}" for each in refused)
    return "\n".join(["nothing can be compared:", *told])
