"""Sets that torchvision downloads, checks and reads: a table of how each names its parts.

Where torchvision offers no public list of files, its private one is read: decoding every image to
learn its label would take minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from gapfc.data.arrays import Arrays
from gapfc.data.files import Files
from gapfc.data.photo import MAX_PIXELS
from gapfc.data.raw_dataset import RawDataset
from gapfc.data.sources.download import find_or_download
from gapfc.validators import one_of, whole

ReadSet = Callable[..., RawDataset]  # (root, download, **options) -> RawDataset


def _labels(values: Any) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.int64)


def _names(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _mnist_like(kind: type[datasets.MNIST], root: Path, download: bool) -> RawDataset:
    parts = [kind(str(root), train=train, download=download) for train in (True, False)]
    train, test = (Arrays(part.data.unsqueeze(1), _labels(part.targets)) for part in parts)
    return RawDataset(_names(parts[0].classes), train, test=test)


def _emnist(root: Path, download: bool, split: str) -> RawDataset:
    parts = [
        datasets.EMNIST(str(root), split=split, train=train, download=download)
        for train in (True, False)
    ]
    names = _names(parts[0].classes)
    present = sorted({int(label) for part in parts for label in part.targets.unique()})
    number = torch.full((len(names),), -1)
    number[present] = torch.arange(
        len(present)
    )  # split=letters names a class that it does not have
    train, test = (  # the files store every picture transposed
        Arrays(part.data.transpose(1, 2).unsqueeze(1).contiguous(), number[_labels(part.targets)])
        for part in parts
    )
    return RawDataset(tuple(names[label] for label in present), train, test=test)


def _cifar(kind: type[datasets.CIFAR10], root: Path, download: bool) -> RawDataset:
    parts = [kind(str(root), train=train, download=download) for train in (True, False)]
    train, test = (
        Arrays(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), _labels(part.targets))
        for part in parts
    )
    return RawDataset(_names(parts[0].classes), train, test=test)


def _svhn(root: Path, download: bool) -> RawDataset:
    train, test = (
        Arrays(torch.from_numpy(np.ascontiguousarray(part.data)), _labels(part.labels))
        for part in (
            datasets.SVHN(str(root / "svhn"), split=split, download=download)
            for split in ("train", "test")
        )
    )
    return RawDataset(_names("0123456789"), train, test=test)


def _stl10(root: Path, download: bool) -> RawDataset:
    parts = [
        datasets.STL10(str(root), split=split, download=download) for split in ("train", "test")
    ]
    train, test = (Arrays(torch.from_numpy(part.data), _labels(part.labels)) for part in parts)
    return RawDataset(_names(parts[0].classes), train, test=test)


def _files(paths: Sequence[Any], labels: Any) -> Files:
    return Files([str(path) for path in paths], _labels(labels))


def _flowers(root: Path, download: bool) -> RawDataset:
    train, val, test = (
        _files(part._image_files, part._labels)
        for part in (
            datasets.Flowers102(str(root), split=split, download=download)
            for split in ("train", "val", "test")
        )
    )
    names = getattr(datasets.Flowers102, "classes", None) or [str(n) for n in range(1, 103)]
    return RawDataset(_names(names), train, val, test)


def _pets(root: Path, download: bool) -> RawDataset:
    parts = [
        datasets.OxfordIIITPet(str(root), split=split, download=download)
        for split in ("trainval", "test")
    ]
    train, test = (_files(part._images, part._labels) for part in parts)
    return RawDataset(_names(parts[0].classes), train, test=test)


def _dtd(root: Path, download: bool, partition: int) -> RawDataset:
    parts = [
        datasets.DTD(str(root), split=split, partition=partition, download=download)
        for split in ("train", "val", "test")
    ]
    train, val, test = (_files(part._image_files, part._labels) for part in parts)
    return RawDataset(_names(parts[0].classes), train, val, test)


def _food(root: Path, download: bool) -> RawDataset:
    parts = [
        datasets.Food101(str(root), split=split, download=download) for split in ("train", "test")
    ]
    train, test = (_files(part._image_files, part._labels) for part in parts)
    return RawDataset(_names(parts[0].classes), train, test=test)


def _eurosat(root: Path, download: bool) -> RawDataset:
    part = datasets.EuroSAT(str(root), download=download)
    return RawDataset(
        _names(part.classes), _files([path for path, _ in part.samples], part.targets)
    )


def _caltech(root: Path, download: bool) -> RawDataset:
    part = datasets.Caltech101(str(root), download=download)
    folder = Path(part.root) / "101_ObjectCategories"
    paths = [
        folder / part.categories[label] / f"image_{number:04d}.jpg"
        for number, label in zip(part.index, part.y, strict=True)
    ]
    return RawDataset(_names(part.categories), _files(paths, part.y))


def _imagenette(root: Path, download: bool, size: str) -> RawDataset:
    parts = [
        datasets.Imagenette(str(root), split=split, size=size, download=download)
        for split in ("train", "val")
    ]
    train, test = (
        _files([path for path, _ in part._samples], [label for _, label in part._samples])
        for part in parts
    )
    return RawDataset(tuple(names[0] for names in parts[0].classes), train, test=test)


# name: the folder under the data root, and how it is read.
SETS: dict[str, tuple[str, ReadSet]] = {
    "mnist": ("MNIST", partial(_mnist_like, datasets.MNIST)),
    "fashion_mnist": ("FashionMNIST", partial(_mnist_like, datasets.FashionMNIST)),
    "kmnist": ("KMNIST", partial(_mnist_like, datasets.KMNIST)),
    "emnist": ("EMNIST", _emnist),
    "cifar10": ("cifar-10-batches-py", partial(_cifar, datasets.CIFAR10)),
    "cifar100": ("cifar-100-python", partial(_cifar, datasets.CIFAR100)),
    "svhn": ("svhn", _svhn),
    "stl10": ("stl10_binary", _stl10),
    "eurosat": ("eurosat", _eurosat),
    "flowers102": ("flowers-102", _flowers),
    "oxford_pets": ("oxford-iiit-pet", _pets),
    "dtd": ("dtd", _dtd),
    "food101": ("food-101", _food),
    "caltech101": ("caltech101", _caltech),
    "imagenette": ("imagenette2", _imagenette),
}


# Values of a set's own option: torchvision's complaint would look like a failed download.
CHOICES: dict[str, tuple[str, Sequence[Any]]] = {
    "emnist": ("split", ("balanced", "byclass", "bymerge", "letters", "digits", "mnist")),
    "dtd": ("partition", range(1, 11)),
    "imagenette": ("size", ("full", "320px", "160px")),
}


def torchvision_set(
    data_root: Path,
    source: str,
    skip_corrupt: bool = False,
    check_headers: bool = False,
    max_pixels: int = MAX_PIXELS,
    **options: Any,
) -> RawDataset:
    """The set called `source` in SETS, downloaded if it is missing.

    options: what the set's own reader takes (emnist: split; dtd: partition; imagenette: size).
    Raises UserError if it is missing and cannot be downloaded, files are unreadable, or it has no
    such option.
    """
    whole("dataset.max_pixels", max_pixels, 1)
    folder, read = SETS[source]
    key, choices = CHOICES.get(source, ("", ()))
    if key in options:
        one_of(f"dataset.{key}", options[key], choices)
    if source == "imagenette" and options.get("size", "full") != "full":
        folder = f"imagenette2-{options['size'].removesuffix('px')}"
    found = find_or_download(
        source, data_root, folder, lambda root, download: read(root, download, **options)
    )
    for split in (found.train, found.val, found.test):
        if isinstance(split, Files):
            split.skip_corrupt, split.max_pixels = skip_corrupt, max_pixels
    return found.checked() if check_headers else found
