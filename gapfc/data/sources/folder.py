"""The user's own images: one folder per class, as for torchvision's ImageFolder."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from gapfc.data.files import Files
from gapfc.data.photo import MAX_PIXELS
from gapfc.data.raw_dataset import RawDataset
from gapfc.data.sources.walk import Walk, entries, is_broken
from gapfc.errors import UserError
from gapfc.validators import whole

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

    With val_dir and no test_dir there is no test split: validation chooses the weights, so it
    cannot also judge them. With train_dir alone, test images are held out from it.
    Raises UserError for a missing dir, an empty class, classes that differ between the dirs, and
    unreadable files unless skip_corrupt; for a folder that is reached in two classes or two dirs.
    """
    whole("dataset.max_pixels", max_pixels, 1)
    if train_dir is None:
        raise UserError(
            "dataset=folder needs dataset.train_dir=<folder with one subfolder of images a class>."
        )
    given = {"train_dir": train_dir, "val_dir": val_dir, "test_dir": test_dir}
    found = {  # a folder called 2024 is a number to YAML
        key: _locate(str(path), data_root, f"dataset.{key}")
        for key, path in given.items()
        if path is not None
    }
    classes = {key: _classes(path, f"dataset.{key}") for key, path in found.items()}
    for key, names in classes.items():
        if names != classes["train_dir"]:
            raise UserError(
                f"dataset.train_dir and dataset.{key} have different classes: only in train_dir: "
                f"{_list(classes['train_dir'], names)}; only in {key}: "
                f"{_list(names, classes['train_dir'])}."
            )
    walk = Walk(found.values())
    splits = {
        key: Files(*_files(key, path, classes["train_dir"], walk), skip_corrupt, max_pixels)
        for key, path in found.items()
    }
    walk.report()
    source = RawDataset(
        tuple(classes["train_dir"]),
        splits["train_dir"],
        splits.get("val_dir"),
        splits.get("test_dir"),
    )
    return source.checked() if check_headers else source


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
    train, val = (str((root / part).absolute()) for part in ("train", "val"))
    return folder(data_root, train, None, val, skip_corrupt, check_headers, max_pixels)


def image_files(walk: Walk, setting: str, folder: Path) -> list[str]:
    """The images below `folder`, sorted; arguments and errors as of `Walk.files`."""
    return sorted(
        file
        for file in walk.files(setting, folder)
        if file.lower().endswith(EXTENSIONS) and os.path.basename(file)[0] != "."
    )


def _locate(path: str, data_root: Path, setting: str) -> Path:
    wanted = Path(path).expanduser()
    for candidate in (wanted, data_root / wanted):
        if candidate.is_dir():
            return candidate
    raise UserError(
        f"{setting}={path}: there is no such folder, neither {wanted.absolute()} "
        f"nor {(data_root / wanted).absolute()}."
    )


def _classes(path: Path, setting: str) -> list[str]:
    names: list[str] = []
    for entry in entries(path):
        if entry.name[0] == ".":
            continue
        if is_broken(entry):
            raise UserError(f"{entry.path} is a broken link: repair or remove it.")
        if entry.is_dir():
            names.append(entry.name)
    if not names:
        raise UserError(f"{setting}={path} has no subfolders: it needs one folder per class.")
    return names


def _files(key: str, path: Path, classes: list[str], walk: Walk) -> tuple[list[str], Tensor]:
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        images = image_files(walk, key, path / name)
        if not images:
            raise UserError(
                f"{path / name} has no images ({' '.join(EXTENSIONS)}): remove the empty class "
                "or fill it."
            )
        paths += images
        labels += [label] * len(images)
    return paths, torch.tensor(labels)


def _list(names: list[str], others: list[str]) -> str:
    missing = [name for name in names if name not in others]
    shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return shown or "none"
