"""Images that a model was not made for: a folder, or another data set with the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from gapfc.data.dataset import Dataset, load
from gapfc.data.raw_dataset import Split
from gapfc.data.sources.folder import read_trees
from gapfc.errors import UserError
from gapfc.formatting import folder_name, printable
from gapfc.probes.registry import PROBES


@dataclass(frozen=True)
class OtherImages:
    """Images with classes of their own.

    Attributes:
        name: of the folder or data set; results are stored under it.
        split: which images of it: test, val, or all.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    images: Split

    def as_test_images_of(self, dataset: Dataset) -> Dataset:
        """`dataset` with these images for its test split, numbered by its classes.

        Mean and standard deviation stay those of its training images, which the network was trained
        with. A class may have no images here. Raises UserError for a class that it lacks.
        """
        unknown = [name for name in self.classes if name not in dataset.classes]
        if unknown:
            raise UserError(
                f"{self.name} has {_list(unknown)}, which the run's {dataset.name} has not "
                f"({_list(dataset.classes)}): classes are matched by name"
            )
        number = torch.tensor([dataset.classes.index(name) for name in self.classes])
        images = self.images.relabel(number[self.images.labels])
        return replace(dataset, name=self.name, test=images)


def read_folder(path: str | Path) -> OtherImages:
    """All images of `<path>/<class>/**`. Raises UserError as dataset=folder does."""
    given = Path(path).expanduser()
    if not given.is_dir():
        raise UserError(f"--data {path}: there is no such folder")
    try:
        source = read_trees({"train_dir": given.absolute()})
    except UserError as error:
        raise UserError(f"--data {path}: {error}") from error
    return OtherImages(
        _stored_name(given.resolve().name), "all", tuple(source.classes), source.train
    )


def read_dataset(config: DictConfig) -> OtherImages:
    """The test images of `config.dataset`, or its validation images if it has none."""
    dataset = load(config.dataset, config.data_root)
    split = "val" if dataset.test is None else "test"
    return OtherImages(_stored_name(dataset.name), split, dataset.classes, dataset.split(split))


def _stored_name(name: str) -> str:
    stored = folder_name(name).replace(".", "_")  # a dot would separate parts of a metric
    return f"{stored}_images" if stored in (*PROBES, "clean") else stored


def _list(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(printable(name, 40) for name in names[:most]) + more
