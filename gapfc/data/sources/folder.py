"""The user's own images: one folder per class, as for torchvision's ImageFolder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gapfc.data.files import Files
from gapfc.data.photo import MAX_PIXELS
from gapfc.data.raw_dataset import RawDataset
from gapfc.data.sources.locate import locate
from gapfc.data.sources.split_folders import find_splits
from gapfc.data.sources.walk import Walk, entries, is_broken
from gapfc.errors import UserError
from gapfc.formatting import listed, plural, printable
from gapfc.validators import whole

log = logging.getLogger(__name__)

EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"
)  # fmt: skip


def folder(
    data_root: Path,
    train_dir: str | None,
    val_dir: str | None = None,
    test_dir: str | None = None,
    skip_corrupt: bool = False,
    check_headers: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> RawDataset:
    """Trees `<dir>/<class>/**/<image>`; a relative dir is in the working folder or data_root.

    A train_dir that holds splits (see find_splits) gives all three; a dir that is named as well
    is taken instead. With validation and no test images there is no test split: validation chooses
    the weights, so it cannot also judge them. With train_dir alone, test images are held out of it.
    Raises UserError for a missing dir, a class without images to train on, and unreadable files
    unless skip_corrupt; for a folder that is reached in two classes or two dirs.
    """
    if train_dir is None:
        raise UserError(
            "dataset=folder needs dataset.train_dir=<folder with one subfolder of images a class>."
        )
    given = {"train_dir": train_dir, "val_dir": val_dir, "test_dir": test_dir}
    found = {  # a folder called 2024 is a number to YAML
        key: locate(str(path), data_root, f"dataset.{key}")
        for key, path in given.items()
        if path is not None
    }
    splits = find_splits(found["train_dir"], is_image)
    if splits is not None:
        own = {key: path for key, path in found.items() if key != "train_dir"}
        log.info("%s", _said(found["train_dir"], splits, own))
        found = splits | own
    return read_trees(found, skip_corrupt, check_headers, max_pixels)


def read_trees(
    trees: Mapping[str, Path],
    skip_corrupt: bool = False,
    check_headers: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> RawDataset:
    """`<tree>/<class>/**/<image>` of train_dir and, if they are there, val_dir and test_dir.

    A class that only val_dir or test_dir lacks is warned of. Otherwise raises UserError as `folder`
    does.
    """
    whole("dataset.max_pixels", max_pixels, 1)
    there = {key: _classes(path, f"dataset.{key}") for key, path in trees.items()}
    classes = there["train_dir"]
    for key, names in there.items():
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise UserError(
                f"dataset.train_dir and dataset.{key} have different classes: {trees[key]} has "
                f"{_list(unknown)}, of which {trees['train_dir']} has no folder to train on"
                f"{_unlike(unknown, classes)}."
            )
    walk = Walk(trees.values())
    found = {
        key: Files(*_files(key, path, classes, there[key], walk), skip_corrupt, max_pixels)
        for key, path in trees.items()
    }
    walk.report()
    source = RawDataset(
        tuple(classes),
        found["train_dir"],
        found.get("val_dir"),
        found.get("test_dir"),
        {key.removesuffix("_dir"): str(path) for key, path in trees.items()},
    )
    if check_headers:
        source = source.checked()
    _check_classes(source)
    return source


def imagenet(
    data_root: Path,
    skip_corrupt: bool = False,
    check_headers: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> RawDataset:
    """ILSVRC 2012 in torchvision's layout: data_root/imagenet/{train,val}/<class>/<image>.

    The official validation images are the test split; validation is held out of training.
    """
    root = data_root / "imagenet"
    if not (root / "train").is_dir() or not (root / "val").is_dir():
        raise UserError(
            f"dataset=imagenet looks for {root.absolute()}/train/<class>/ and val/<class>/. It "
            "cannot be downloaded freely: get it from image-net.org and unpack it there."
        )
    trees = {"train_dir": (root / "train").absolute(), "test_dir": (root / "val").absolute()}
    return read_trees(trees, skip_corrupt, check_headers, max_pixels)


# Kinds of photos that phones and cameras write, and Pillow alone does not read.
OTHER_PHOTOS = (".heic", ".heif", ".avif", ".jxl", ".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw")


def is_image(name: str) -> bool:
    """Whether a file's name, or its path, is that of an image that is not hidden."""
    return name.lower().endswith(EXTENSIONS) and os.path.basename(name)[0] != "."


def image_files(walk: Walk, setting: str, folder: Path) -> list[str]:
    """The images below `folder`, sorted; arguments and errors as of `Walk.files`."""
    return sorted(filter(is_image, walk.files(setting, folder)))


def _said(root: Path, splits: Mapping[str, Path], own: Mapping[str, Path]) -> str:
    """One line on what the folders of `root` were taken for; own: dirs that the user named."""
    taken = [path.name for key, path in splits.items() if key not in own]
    kept = "".join(f"; dataset.{key} stays {path}" for key, path in own.items())
    return f"{root} holds splits: {listed(taken)} {_are(taken)} used as such{kept}."


def _classes(path: Path, setting: str) -> list[str]:
    names: list[str] = []
    loose = 0
    for entry in entries(path):
        if entry.name[0] == ".":
            continue
        if is_broken(entry):
            raise UserError(f"{entry.path} is a broken link: repair or remove it.")
        if entry.is_dir():
            names.append(entry.name)
        else:
            loose += is_image(entry.name)
    if not names:
        raise UserError(f"{setting}={path} has no subfolders: it needs one folder per class.")
    if loose:
        log.warning(
            "Left out %s in %s itself: in no folder of a class", plural(loose, "image"), path
        )
    return names


def _files(
    key: str, path: Path, classes: list[str], there: list[str], walk: Walk
) -> tuple[list[str], Tensor]:
    paths: list[str] = []
    labels: list[int] = []
    others: list[str] = []
    for label, name in enumerate(classes):
        files = walk.files(key, path / name) if name in there else []
        images = sorted(filter(is_image, files))
        others += (file for file in files if file.lower().endswith(OTHER_PHOTOS))
        if not images and key == "train_dir":
            raise UserError(
                f"{path / name} has no images ({' '.join(EXTENSIONS)}): remove the empty class "
                "or fill it."
            )
        paths += images
        labels += [label] * len(images)
    if others:
        kinds = sorted({os.path.splitext(file)[1].lower() for file in others})
        log.warning(
            "Left out %s of kinds that are not read, %s: convert them to .jpg",
            plural(len(others), "photo"),
            listed(kinds),
        )
    if not paths:
        raise UserError(f"dataset.{key}={path} has no images ({' '.join(EXTENSIONS)}).")
    return paths, torch.tensor(labels)


def _check_classes(source: RawDataset) -> None:
    """A class cannot be learnt without an image; one that cannot be measured is named."""
    for split, images in source.splits().items():
        counts = torch.bincount(images.labels, minlength=len(source.classes)).tolist()
        without = [name for name, count in zip(source.classes, counts, strict=True) if not count]
        if without and split == "train":
            raise UserError(
                f"{source.origins['train']} has no readable image of {_list(without)}: repair the "
                "files, or remove the class."
            )
        if without:
            log.warning(
                "%s has no images of %s: its accuracy says nothing of %s",
                source.origins[split],
                _list(without),
                "that class" if len(without) == 1 else "those classes",
            )


def _list(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(printable(name, 40) for name in names[:5]) + more


def _unlike(unknown: list[str], classes: list[str]) -> str:
    """A hint where names differ by upper and lower case alone."""
    same = {name.casefold(): name for name in classes}
    alike = [(name, same[name.casefold()]) for name in unknown if name.casefold() in same]
    return f" ({alike[0][1]} is spelled otherwise)" if alike else ""


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
