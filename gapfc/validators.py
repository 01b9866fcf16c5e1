"""Valid settings: each check returns the value, or says which setting takes what.

`setting` is the key as a user types it, such as `trainer.epochs`. `takes` replaces a check's own
words for its range, if there are plainer ones. All raise UserError.
"""

from collections.abc import Callable, Collection, Sequence
from math import isfinite
from typing import Any, NoReturn, TypeGuard, TypeVar

from gapfc.errors import UserError

Choice = TypeVar("Choice")


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is an int; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether `value` is a whole number of at least 1."""
    return is_whole(value) and value >= 1


def is_number(value: object) -> bool:
    """Whether `value` is a finite int or float; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def whole(
    setting: str,
    value: Any,
    least: int | None = None,
    most: int | None = None,
    takes: str | None = None,
) -> int:
    """`value`, a whole number from `least` to `most`."""
    if (
        not is_whole(value)
        or (least is not None and value < least)
        or (most is not None and value > most)
    ):
        refuse(setting, takes or f"a whole number{_range(least, most)}", value)
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
    if (
        not is_number(value)
        or (least is not None and value < least)
        or (most is not None and value > most)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    ):
        refuse(setting, takes or f"a number{_range(least, most, above, below)}", value)
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
    *others, last = (as_typed(choice) for choice in choices)
    refuse(setting, f"{', '.join(others)} or {last}" if others else last, value)


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
    """`value` as typed on a command line."""
    if value is None:
        return "null"
    if isinstance(value, tuple):
        value = list(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _range(
    least: float | None,
    most: float | None,
    above: float | None = None,
    below: float | None = None,
) -> str:
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
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
