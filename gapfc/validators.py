"""Valid settings: each check returns the value, or says which setting takes what.

`setting` is the key as a user types it, such as `trainer.epochs`. `takes` replaces a check's own
words for its range, if there are plainer ones. All raise UserError.
"""

from collections.abc import Callable, Collection, Sequence
from math import isfinite
from typing import Any, NoReturn, TypeGuard, TypeVar

from gapfc.errors import UserError

Choice = TypeVar("Choice")

_SHOWN = 100  # characters of a value that a message repeats


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is an int; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether `value` is a whole number of at least 1."""
    return is_whole(value) and value >= 1


def is_number(value: object) -> bool:
    """Whether `value` is a finite int or float, within a float's range; True and False are not."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an int beyond 1e308
        return False


def is_text(value: object) -> bool:
    """Whether `value` is a string with something in it, and nothing that cannot be printed."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def within(
    value: float,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> bool:
    """Whether `value` is from `least` to `most`, or between `above` and `below`."""
    return (
        (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def whole(
    setting: str,
    value: Any,
    least: int | None = None,
    most: int | None = None,
    takes: str | None = None,
) -> int:
    """`value`, a whole number from `least` to `most`."""
    if not is_whole(value) or not within(value, least, most):
        refuse(setting, takes or f"a whole number{bounds(least, most)}", value)
    return int(value)


def number(
    setting: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    takes: str | None = None,
) -> float:
    """`value`, a finite number from `least` to `most`, or between `above` and `below`."""
    if not is_number(value) or not within(value, least, most, above, below):
        refuse(setting, takes or f"a number{bounds(least, most, above, below)}", value)
    return float(value)


def flag(setting: str, value: Any) -> bool:
    """`value`, True or False."""
    if not isinstance(value, bool):
        refuse(setting, "true or false", value)
    return value


def one_of(setting: str, value: Any, choices: Collection[Choice]) -> Choice:
    """`value`, which is one of `choices`; True does not count as 1, nor False as 0."""
    for choice in choices:
        if value == choice and isinstance(value, bool) == isinstance(choice, bool):
            return choice
    refuse(setting, alternatives(choices), value)


def alternatives(choices: Collection[object]) -> str:
    """All of `choices`, as in "auto, cpu or cuda"."""
    *others, last = map(as_typed, choices)
    return f"{', '.join(others)} or {last}" if others else last


def list_of(
    setting: str, value: Any, allowed: Callable[[Any], bool], takes: str, empty: bool = False
) -> Sequence[Any]:
    """`value`, a list of what is `allowed`; empty only if it may be `empty`."""
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or not (value or empty)
        or not all(map(allowed, value))
    ):
        refuse(setting, takes, value)
    return value


def refuse(setting: str, takes: str, value: Any) -> NoReturn:
    """Say that `setting` takes something other than `value`."""
    raise UserError(f"{setting} takes {takes}; got {as_typed(value)}")


def as_typed(value: Any) -> str:
    """`value` as typed on a command line, in one line, its end left out if it is long."""
    if value is None:
        return "null"
    if value == "":
        return "nothing"
    try:
        if isinstance(value, list | tuple):
            text = f"[{', '.join(map(as_typed, value))}]"
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
    except (ValueError, RecursionError):  # Python writes no int of more than 4,300 digits
        return f"a very large {type(value).__name__}"
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def bounds(
    least: float | None,
    most: float | None,
    above: float | None = None,
    below: float | None = None,
) -> str:
    """A range in words, such as " from 0 to 1"; a blank first, or nothing if there is none."""
    if least is not None and most is not None:
        return f" from {least} to {most}"
    words = [
        words
        for bound, words in (
            (least, f"of at least {least}"),
            (above, f"above {above}"),
            (most, f"of at most {most}"),
            (below, f"below {below}"),
        )
        if bound is not None
    ]
    return f" {' and '.join(words)}" if words else ""
