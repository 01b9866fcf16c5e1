"""Seeded choices of images: stratified splits, classes, shots per class, limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gapfc.data.raw_dataset import RawDataset, Split
from gapfc.errors import UserError
from gapfc.formatting import plural
from gapfc.validators import number, whole

# Each choice has its own random stream, so that changing one leaves the others as they were.
TEST, VALIDATION, SHOTS, TRAIN_LIMIT, TEST_LIMIT, VAL_LIMIT = range(6)


def _random(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])


def stratified(
    labels: Tensor, fraction: float, seed: int, stream: int, classes: Sequence[str], setting: str
) -> tuple[Tensor, Tensor]:
    """Indices (kept, held out) that hold out `fraction` of each class, both sorted.

    A class gives at least one image and keeps at least one. Raises UserError if `fraction` is not
    between 0 and 1 or a class has fewer than two images; `setting` names the key.
    """
    number(setting, fraction, above=0, below=1)
    random = _random(seed, stream)
    values = labels.numpy()
    held: list[np.ndarray] = []
    for label, name in enumerate(classes):
        members = np.flatnonzero(values == label)
        if len(members) < 2:
            has = f"Class {name!r} has {plural(len(members), 'image')}"
            if len(classes) == 1:
                raise UserError(
                    f"{has}, and is the only one. A classifier needs a second class (of photos, "
                    "each has a folder of its own), and two images or more of each."
                )
            raise UserError(
                f"{has}: {setting} cannot split it. Give it two or more, or leave it out with "
                "dataset.classes=[...]."
            )
        count = min(max(round(len(members) * fraction), 1), len(members) - 1)
        held.append(random.permutation(members)[:count])
    mask = np.zeros(len(values), dtype=bool)
    mask[np.concatenate(held)] = True
    return torch.from_numpy(np.flatnonzero(~mask)), torch.from_numpy(np.flatnonzero(mask))


def choose_classes(source: RawDataset, wanted: Sequence[str | int]) -> RawDataset:
    """Only the `wanted` classes (names or indices), relabelled 0.. in the order given.

    Raises UserError for an unknown or repeated class, naming the existing ones.
    """
    chosen: list[int] = []
    for item in wanted:
        if str(item) in source.classes:  # a digit's name is its index, even where they differ
            index = source.classes.index(str(item))
        elif isinstance(item, int) and 0 <= item < len(source.classes):
            index = item
        else:
            raise UserError(
                f"dataset.classes has {item!r}, which is neither the name nor the index "
                f"of a class. Classes: {', '.join(source.classes)}."
            )
        if index in chosen:
            raise UserError(f"dataset.classes names {source.classes[index]!r} twice.")
        chosen.append(index)
    if not chosen:
        raise UserError("dataset.classes is empty: name one class or more, or null for all.")
    new_label = torch.full((len(source.classes),), -1)
    new_label[chosen] = torch.arange(len(chosen))

    def pick(split: Split) -> Split:
        labels = new_label[split.labels]
        index = (labels >= 0).nonzero().flatten()
        return split.take(index).relabel(labels[index])

    names = tuple(source.classes[index] for index in chosen)
    picked = {name: pick(split) for name, split in source.splits().items()}
    return replace(source.over(picked), classes=names)


def shots(split: Split, count: int, seed: int, classes: Sequence[str]) -> Split:
    """`count` random images of each class. Raises UserError if a class has fewer."""
    whole("dataset.shots", count, 1, takes="1 or more, or null for all images")
    random = _random(seed, SHOTS)
    values = split.labels.numpy()
    picked: list[np.ndarray] = []
    for label, name in enumerate(classes):
        members = np.flatnonzero(values == label)
        if count > len(members):
            raise UserError(
                f"dataset.shots={count} is more than the {len(members)} training images "
                f"of class {name!r}."
            )
        picked.append(random.permutation(members)[:count])  # fewer shots: a subset of more shots
    return split.take(torch.from_numpy(np.sort(np.concatenate(picked))))


def limit(split: Split, count: int, seed: int, stream: int, setting: str) -> Split:
    """The first `count` images after a seeded shuffle; all of them if there are no more."""
    whole(setting, count, 1, takes="1 or more, or null for all images")
    if count >= len(split):
        return split
    index = _random(seed, stream).permutation(len(split))[:count]
    return split.take(torch.from_numpy(index))
