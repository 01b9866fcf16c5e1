"""What a user should know of the images before training: in a few lines of at most 80 columns."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from gapfc.data.dataset import Dataset
from gapfc.data.files import Files
from gapfc.formatting import printable, times

WIDTH = 80 - 12  # columns, beside what a line is about
LONGEST = 24  # characters of a class's name
FEW = 100  # validation images
GOOD = 0.9  # an accuracy to say the noise of


def facts(dataset: Dataset, final_weights: str) -> Iterator[tuple[str, str]]:
    """Lines (what about, text): classes, sizes of photos, where splits come from, and noise.

    final_weights: best or last, the epoch that a run ends with; the last one is not chosen.
    """
    yield "classes", _classes(dataset)
    sizes = _sizes(dataset)
    if sizes:
        yield "photos", sizes
    origins = [
        (name, dataset.origins[name])
        for name in ("val", "test")
        if name in dataset.origins and getattr(dataset, name) is not None
    ]
    if len(origins) == 2 and origins[0][1] == origins[1][1]:
        yield "splits", f"val and test: {origins[0][1]}"
    elif origins:
        yield "splits", "; ".join(f"{name}: {origin}" for name, origin in origins)
    if len(dataset.val) < FEW and final_weights == "best":
        yield "noise", _noise(len(dataset.val))


def _classes(dataset: Dataset) -> str:
    """Names with how many images train them; of many the first, and the smallest in any case."""
    counts = torch.bincount(dataset.train.labels, minlength=dataset.num_classes).tolist()
    names = [printable(name, LONGEST) for name in dataset.classes]
    least = min(range(len(counts)), key=counts.__getitem__)
    if counts[least] == max(counts):
        return _as_fit(f"{counts[0]:,} train of each: ", names, "")
    items = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True)]
    listed = ", ".join(items)
    if len(items) <= 3 and len(listed) <= WIDTH:
        return listed
    return _as_fit("", items, f"; smallest: {items[least]}")


def _as_fit(begin: str, items: list[str], end: str) -> str:
    """As many of `items` as fit into a line; at least one."""
    room = WIDTH - len(begin) - len(end)
    if len(", ".join(items)) <= room:
        return f"{begin}{', '.join(items)}{end}"
    shown, used = 1, len(items[0])
    room -= len(f" and {len(items):,} more")
    while shown < len(items) and used + 2 + len(items[shown]) <= room:
        used += 2 + len(items[shown])
        shown += 1
    return f"{begin}{', '.join(items[:shown])} and {len(items) - shown:,} more{end}"


def _sizes(dataset: Dataset) -> str | None:
    splits = (dataset.train, dataset.val, dataset.test)
    known = [
        size
        for split in splits
        if isinstance(split, Files) and split.known_sizes
        for size in split.known_sizes
    ]
    if not known:
        return None
    if len(set(known)) == 1:
        return f"all of {times(known[0])} (height×width)"
    height, width = torch.tensor(known).median(dim=0).values.tolist()
    small, large = (times(pick(known, key=math.prod)) for pick in (min, max))
    return f"{height}×{width} (median height×width), {small} to {large}"


def _noise(images: int) -> str:
    """The standard error of a share p of n images is √(p(1 - p)/n)."""
    error = math.sqrt(GOOD * (1 - GOOD) / images)
    return (
        f"{images} val images: an accuracy of {GOOD:.0%} has a standard error of "
        f"{100 * error:.1f} points: the choice of the best epoch is noisy "
        "(trainer.final_weights=last takes the last)"
    )
