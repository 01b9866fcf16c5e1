"""Runs that differ in more than was asked about: refused, with what to type instead."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from gapfc.compare.fields import ABSENT, value_of
from gapfc.compare.groups import Values
from gapfc.compare.mixtures import belongs_to, mixed_settings
from gapfc.compare.where import Condition
from gapfc.errors import UserError
from gapfc.formatting import plural, printable
from gapfc.records.run import Run

RATE = "optimizer.lr"
MOST_TOLD = 8  # settings, each in a line of its own


def refuse_mixtures(runs: Sequence[Run], by: Sequence[str]) -> None:
    """Raises UserError when runs differ in more than `by`, or those of a group in more than seed.

    It says what to type instead.
    """
    mixed = mixed_settings(runs, by)
    if mixed:
        raise UserError(_explain(mixed, runs, by))


def _explain(mixed: Mapping[str, Mapping[str, int]], runs: Sequence[Run], by: Sequence[str]) -> str:
    lines = [f"these runs differ in more than {', '.join(by)}; they are not mixed:"]
    for key, counts in list(mixed.items())[:MOST_TOLD]:
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        told = [f"{value} ({plural(n, 'run')})" for value, n in ranked[:6]]
        lines.append(f"  {printable(key)}: {', '.join(told)}{', …' if len(ranked) > 6 else ''}")
    if len(mixed) > MOST_TOLD:
        others = ", ".join(map(printable, list(mixed)[MOST_TOLD : MOST_TOLD + 12]))
        lines.append(f"  and {len(mixed) - MOST_TOLD} more: {others}")
    hints = []
    if conditions := _keep(runs, by):
        typed = shlex.join(word for each in conditions for word in ("--where", str(each)))
        hints.append(f"Keep some of them: {typed}")
    if len(mixed) <= MOST_TOLD or not hints:
        hints.append(f"Tell them apart: --by {shlex.quote(','.join([*by, *mixed]))}")
    if list(mixed) == [RATE]:
        hints.append(f"Take each at its best on validation: --choose {RATE}")
    return "\n".join([*lines, *(printable(hint, 4000) for hint in hints)])


def _keep(runs: Sequence[Run], by: Sequence[str]) -> list[Condition]:
    """What leaves only runs that may be compared, those of the most common values; empty if none.

    None keeps fc alone of a sweep, as `head.hidden=[512]` would, which gap has not.
    """
    kept: list[Condition] = []
    left = list(runs)
    while mixed := mixed_settings(left, by):
        key = next(iter(mixed))
        counts = Counter(_or_null(value_of(run, key)) for run in left)
        common = counts.most_common(1)[0][0]
        values = {value for run in left if _or_null(value := value_of(run, key)) == common}
        kept.append(Condition(key, tuple(sorted(values)), negated=False))
        before, left = left, [run for run in left if kept[-1].holds(run)]
        groups, others = (len({_group(run, by) for run in some}) for some in (left, before))
        if len(left) == len(before) or groups < (others if belongs_to(key, by) else min(2, others)):
            return []
    return kept


def _group(run: Run, by: Sequence[str]) -> Values:
    return tuple(value_of(run, key) for key in by)


def _or_null(value: str) -> str:
    return "null" if value == ABSENT else value
