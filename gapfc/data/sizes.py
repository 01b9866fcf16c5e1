"""Image sizes as the configuration writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import ListConfig

from gapfc.errors import UserError

Size = tuple[int, int]


def parse_size(value: Any, setting: str) -> Size | None:
    """n | [h, w] -> (h, w); "native" -> None. `setting` names the key in the error."""
    if value == "native":
        return None
    sides = list(value) if isinstance(value, (ListConfig, Sequence)) else [value, value]
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if isinstance(value, str) or len(sides) != 2 or not whole or min(sides) < 1:
        raise UserError(
            f"{setting}={value} is no image size: give pixels as n or [height, width], "
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


def parse_train_sizes(dataset: Any) -> tuple[Size, ...]:
    """`dataset.train_sizes` as (h, w) pairs, none of them above `dataset.image_size`; () for null.

    Raises UserError with `image_size=native`, and for a size that would need more pixels than the
    crop it is resized from has.
    """
    if dataset.get("train_sizes") is None:
        return ()
    largest = parse_size(dataset.image_size, "dataset.image_size")
    if largest is None:
        raise UserError(
            "dataset.train_sizes needs a fixed dataset.image_size=n|[h, w], of which the smaller "
            "sizes are resized; it cannot be used with dataset.image_size=native."
        )
    values = dataset.train_sizes
    if not isinstance(values, (list, tuple, ListConfig)) or not values:
        raise UserError(f"dataset.train_sizes={values} takes a list of sizes, such as [24, 32].")
    sizes: list[Size] = []
    for value in values:
        size = parse_size(value, "dataset.train_sizes")
        if size is None:
            raise UserError("dataset.train_sizes takes sizes n or [h, w], not native.")
        if size[0] > largest[0] or size[1] > largest[1]:
            raise UserError(
                f"dataset.train_sizes has {value}, larger than dataset.image_size="
                f"{dataset.image_size}: make dataset.image_size the largest of them."
            )
        sizes.append(size)
    return tuple(sizes)
