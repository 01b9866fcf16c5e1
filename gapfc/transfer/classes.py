"""Old and new classes: a head that keeps the source's, and how much is left of them afterwards."""

from dataclasses import replace

import torch
from omegaconf import DictConfig
from torch import Tensor

from gapfc.data.dataset import Dataset, load
from gapfc.data.raw_dataset import Split


def source_dataset(source: DictConfig, data_root: str) -> Dataset:
    """The images that the source was trained on. source: the config of its run.

    Raises:
        UserError: if they are not below `data_root`.
    """
    return load(source.dataset, data_root)


def extended(target: Dataset, old: tuple[str, ...]) -> Dataset:
    """The target's images, numbered by the `old` classes, then the target's own."""
    classes = (*old, *(name for name in target.classes if name not in old))
    number = torch.tensor([classes.index(name) for name in target.classes])

    def relabelled(split: Split) -> Split:
        return split.relabel(number[split.labels])

    return replace(
        target,
        classes=classes,
        train=relabelled(target.train),
        val=relabelled(target.val),
        test=None if target.test is None else relabelled(target.test),
    )


def old_classes(target: Dataset, source: Dataset) -> Dataset | None:
    """The source's test images of classes that `target` has too, numbered and normalised as there.

    None if it has none of them, or the source has no test images.
    """
    if source.test is None:
        return None
    number = torch.tensor(
        [target.classes.index(name) if name in target.classes else -1 for name in source.classes]
    )
    labels: Tensor = number[source.test.labels]
    index = (labels >= 0).nonzero().flatten()
    if not len(index):
        return None
    test = source.test.take(index).relabel(labels[index])
    return replace(target, test=test)
