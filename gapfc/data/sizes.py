"""Image sizes as written in the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import ListConfig

from gapfc.errors import UserError
from gapfc.records.inputs import Size as Size
from gapfc.validators import is_whole


def parse_size(value: Any, setting: str) -> Size | None:
    """n | [h, w] -> (h, w); "native" -> None. `setting` names the key in the error."""
    if value == "native":
        return None
    sides = list(value) if isinstance(value, (ListConfig, Sequence)) else [value, value]
    whole = all(map(is_whole, sides))
    if isinstance(value, str) or len(sides) != 2 or not whole or min(sides) < 1:
        raise UserError(
            f"{setting}={value} is not an image size: give pixels as n or [height, width], "
            f"each 1 or more{', or native' if setting == 'dataset.image_size' else ''}."
        )
    return (sides[0], sides[1])


def parse_sizes(values: Any, setting: str) -> tuple[Size, ...]:
    """A list of sizes, each n | [h, w], as (h, w) pairs; () for null. UserError as `parse_size`."""
    if values is None:
        return ()
    if not isinstance(values, (list, tuple, ListConfig)):
        raise UserError(f"{setting}={values} takes a list of sizes, such as [24, 32].")
    sizes = [parse_size(value, setting) for value in values]
    if None in sizes:
        raise UserError(f"{setting} takes sizes n or [h, w], not native.")
    return tuple(size for size in sizes if size is not None)
