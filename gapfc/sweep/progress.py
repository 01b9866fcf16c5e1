"""What a sweep reports while running: which run, how many are left, when it should end."""

import time
from collections.abc import Mapping, Sequence

from gapfc.formatting import duration, first_line, from_here, printable
from gapfc.sweep.outcomes import LEFT, Outcome
from gapfc.system.interruption import EXIT_CODES


def until_end(seconds: Sequence[float], waiting: int, running: int, places: int) -> float | None:
    """Seconds until the last run ends, by the mean of those that have ended; None before the first.

    Args:
        seconds: that each finished run took.
        waiting: runs not begun.
        running: runs begun and not ended; on average they are half done.
        places: runs at a time.
    """
    if not seconds:
        return None
    return sum(seconds) / len(seconds) * (waiting + running / 2) / max(1, places)


def ends(left: float | None) -> str:
    """` · ends about 14:05, in 12 min`, or nothing if it cannot be estimated."""
    if left is None:
        return ""
    when = time.strftime("%H:%M", time.localtime(time.time() + left))
    day = time.strftime("%a ", time.localtime(time.time() + left)) if left > 12 * 3600 else ""
    return f" · ends about {day}{when}, in {duration(left)}"


def one_ended(words: str, outcome: Outcome) -> str:
    """The line for a run that ended."""
    if outcome.code == LEFT:
        return f"{words}: {_reason(outcome)}"
    if outcome.code in EXIT_CODES:
        return f"{words}: {_reason(outcome)} after {duration(outcome.seconds)}"
    if outcome.code:
        return f"{words}: failed after {duration(outcome.seconds)}: {_reason(outcome)}"
    where = f", {from_here(outcome.path)}" if outcome.path else ""
    return f"{words}: {duration(outcome.seconds)}{where}"


def failures(failed: Mapping[str, Outcome], total: int) -> str:
    """The list that a sweep ends with: each reason, the runs that failed for it, where they are."""
    lines = [f"gapfc: {len(failed)} of {total} runs failed:"]
    alike: dict[str, list[str]] = {}
    for words, outcome in failed.items():
        where = f"  {from_here(outcome.path)}" if outcome.path else ""
        alike.setdefault(_reason(outcome), []).append(f"    {words}{where}")
    for reason, runs in alike.items():
        several = f"{len(runs)} runs: " if len(runs) > 1 else ""
        lines += [f"  {several}{reason}", *runs]
    return "\n".join(lines)


def _reason(outcome: Outcome) -> str:
    return printable(first_line(outcome.reason or "no reason given"), 500)
