"""From a `dataset` config node to training, validation and test images."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import Tensor

from gapfc.data import splits
from gapfc.data.arrays import Arrays
from gapfc.data.duplicates import warn_of_duplicates
from gapfc.data.raw_dataset import RawDataset, Split
from gapfc.errors import UserError
from gapfc.formatting import percent
from gapfc.records.inputs import IMAGENET_MEAN, IMAGENET_STD
from gapfc.settings.nodes import locate
from gapfc.validators import is_number, refuse, whole

log = logging.getLogger(__name__)

# Keys that mean the same for every data set (configs/dataset/_base.yaml); the others are the
# source's own arguments.
SHARED_KEYS = {
    "name", "_target_", "image_size", "canvas", "resize", "max_size", "size_multiple",
    "crop_share", "train_sizes", "eval_sizes", "classes", "shots", "train_limit", "val_limit",
    "test_limit", "val_fraction", "test_fraction", "split_seed", "mean", "std", "residency",
    "workers", "sampler"
}  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """Three splits of one data set. `mean` and `std`: 3 values each, in units of [0, 1];
    measured ones are of the training images, without the canvas they may be set into.

    `test` is None where the source has validation images of its own but no test images.
    `origins`: where the validation and test images come from, in words, by `val` and `test`.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """Number of classes, K."""
        return len(self.classes)

    def split(self, name: str) -> Split:
        """The split called train, val or test. Raises ValueError if there is none."""
        found = {"train": self.train, "val": self.val, "test": self.test}.get(name)
        if found is None:
            raise ValueError(f"{self.name} has no {name!r} split")
        return found


def load(dataset: DictConfig, data_root: str | Path) -> Dataset:
    """Read the data set that `dataset` (a config node) describes.

    Order: classes are picked, then a test split is carved where the source has none, then the
    validation split, then the images of each are limited.
    Raises UserError for data that are missing and cannot be downloaded, and for invalid settings.
    """
    if OmegaConf.is_missing(dataset, "_target_"):
        raise UserError("dataset=_base only holds shared settings: choose a data set.")
    if not isinstance(data_root, str | Path):
        raise UserError(f"data_root={data_root} takes the folder where data sets are.")
    seed = dataset.split_seed
    whole("dataset.split_seed", seed, 0)
    read = locate(str(dataset._target_))
    own: dict[str, Any] = {
        str(key): OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        for key, value in dataset.items()
        if key not in SHARED_KEYS
    }
    own["data_root"] = Path(data_root).expanduser()
    try:
        inspect.signature(read).bind(**own)
    except (TypeError, ValueError) as error:  # the latter: a builtin that does not say
        raise UserError(f"dataset: {dataset._target_}: {error}") from error
    source = read(**own)
    if not isinstance(source, RawDataset):
        raise UserError(
            f"dataset._target_={dataset._target_} gives a {type(source).__name__}; it takes a "
            "function that gives a gapfc.data.raw_dataset.RawDataset"
        )
    if dataset.get("classes") is not None:
        if isinstance(dataset.classes, (str, int)):
            raise UserError(f"dataset.classes={dataset.classes} takes a list: [{dataset.classes}].")
        source = splits.choose_classes(source, list(dataset.classes))
    classes = source.classes
    train, val, test = source.train, source.val, source.test
    origins = {key: source.origins.get(key, "of the data set") for key in ("val", "test")}
    if dataset.get("test_fraction") is not None and test is None and val is None:
        kept, held = splits.stratified(
            train.labels,
            dataset.test_fraction,
            seed,
            splits.TEST,
            classes,
            "dataset.test_fraction",
        )
        train, test = train.take(kept), train.take(held)
        origins["test"] = f"held out of train ({percent(dataset.test_fraction)})"
    if val is None:
        kept, held = splits.stratified(
            train.labels,
            dataset.val_fraction,
            seed,
            splits.VALIDATION,
            classes,
            "dataset.val_fraction",
        )
        train, val = train.take(kept), train.take(held)
        origins["val"] = f"held out of train ({percent(dataset.val_fraction)})"
    if dataset.get("shots") is not None:
        train = splits.shots(train, dataset.shots, seed, classes)
    if dataset.get("train_limit") is not None:
        train = splits.limit(
            train, dataset.train_limit, seed, splits.TRAIN_LIMIT, "dataset.train_limit"
        )
    if dataset.get("val_limit") is not None:
        val = splits.limit(val, dataset.val_limit, seed, splits.VAL_LIMIT, "dataset.val_limit")
    if test is None:
        log.info("%s has no test images: there will be no test result.", dataset.name)
    elif dataset.get("test_limit") is not None:
        test = splits.limit(test, dataset.test_limit, seed, splits.TEST_LIMIT, "dataset.test_limit")
    if dataset.get("check_headers"):
        warn_of_duplicates({"train": train, "val": val, "test": test})
    mean, std = _statistics(dataset, train)
    return Dataset(dataset.name, classes, train, val, test, mean, std, origins)


def _statistics(dataset: DictConfig, train: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if isinstance(train, Arrays):
        mean, std = channel_statistics(train.images)
    else:
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    if dataset.get("mean") is not None:
        mean = _three(dataset.mean, "dataset.mean")
    if dataset.get("std") is not None:
        std = _three(dataset.std, "dataset.std")
        if min(std) <= 0:
            raise UserError(f"dataset.std={dataset.std} must be above 0.")
    return mean, std


def _three(values: Any, setting: str) -> tuple[float, ...]:
    numbers = list(values) if isinstance(values, (list, tuple, ListConfig)) else [values]
    if len(numbers) not in (1, 3) or not all(map(is_number, numbers)):
        refuse(setting, "one number or three, in units of [0, 1]", values)
    return tuple(float(number) for number in (numbers * 3 if len(numbers) == 1 else numbers))


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 [N, c, h, w], in [0, 1], 3 values each.

    A constant channel gets a standard deviation of 1.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means: list[float] = []
    deviations: list[float] = []
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.float64)
        for part in images[:, channel].split(8192):
            counts += torch.bincount(part.flatten(), minlength=256)
        share = counts / counts.sum()
        mean = (share * levels).sum()
        deviation = (share * (levels - mean) ** 2).sum().sqrt()
        means.append(float(mean))
        deviations.append(float(deviation) if deviation > 0 else 1.0)
    repeat = 3 // len(means)
    return tuple(means * repeat), tuple(deviations * repeat)
