"""Kinds of values that a setting may take, and how a user is told of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gapfc.validators import alternatives, bounds, is_number, is_whole, within


@dataclass(frozen=True)
class Kind:
    """Values of which `allows` is true; `takes` names them to a user.

    `fixed`: words among them, as they are typed.
    """

    takes: str
    allows: Callable[[Any], bool]
    fixed: tuple[str, ...] = ()

    def __or__(self, other: "Kind") -> "Kind":
        return Kind(
            f"{self.takes}, or {other.takes}",
            lambda value: self.allows(value) or other.allows(value),
            (*self.fixed, *other.fixed),
        )


def whole(least: int, most: int, takes: str | None = None) -> Kind:
    """Whole numbers from `least` to `most`."""
    words = takes or f"a whole number{bounds(least, most)}"
    return Kind(words, lambda value: is_whole(value) and least <= value <= most)


def number(
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Kind:
    """Finite numbers from `least` to `most`, or between `above` and `below`."""
    limits = (least, most, above, below)
    return Kind(
        f"a number{bounds(*limits)}", lambda value: is_number(value) and within(value, *limits)
    )


def words(*choices: str) -> Kind:
    """One of `choices`."""
    return Kind(
        alternatives(choices), lambda value: isinstance(value, str) and value in choices, choices
    )


def several(item: Kind, takes: str, least: int = 0, most: int = 1000) -> Kind:
    """Lists of `least` to `most` values of the kind `item`."""
    return Kind(
        takes,
        lambda value: (
            isinstance(value, list) and least <= len(value) <= most and all(map(item.allows, value))
        ),
    )


def pair(item: Kind) -> Kind:
    """One `item` for both sides, or [height, width]."""
    return item | several(item, "[height, width]", 2, 2)
