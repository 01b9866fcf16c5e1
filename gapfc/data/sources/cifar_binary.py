"""CIFAR-10 and CIFAR-100 from their official binary version, else through torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gapfc.data.arrays import Arrays
from gapfc.data.raw_dataset import RawDataset
from gapfc.data.sources.torchvision_sets import torchvision_set
from gapfc.errors import UserError

PIXELS = 3 * 32 * 32


def cifar10(data_root: Path) -> RawDataset:
    """50,000 + 10,000 32x32 images of 10 classes; cifar-10-batches-bin is preferred if present."""
    folder = data_root / "cifar-10-batches-bin"
    if not folder.is_dir():
        return torchvision_set(data_root, "cifar10")
    return RawDataset(
        _names(folder / "batches.meta.txt", 10),
        _records([folder / f"data_batch_{part}.bin" for part in range(1, 6)], 1, 10),
        test=_records([folder / "test_batch.bin"], 1, 10),
    )


def cifar100(data_root: Path) -> RawDataset:
    """50,000 + 10,000 32x32 images of 100 fine classes; cifar-100-binary is preferred."""
    folder = data_root / "cifar-100-binary"
    if not folder.is_dir():
        return torchvision_set(data_root, "cifar100")
    return RawDataset(
        _names(folder / "fine_label_names.txt", 100),
        _records([folder / "train.bin"], 2, 100),
        test=_records([folder / "test.bin"], 2, 100),
    )


def _names(path: Path, count: int) -> tuple[str, ...]:
    try:
        names = tuple(path.read_text().split())
    except OSError as error:
        raise UserError(
            f"{path} of the CIFAR binary version is missing: unpack it again."
        ) from error
    if len(names) != count:
        raise UserError(f"{path} names {len(names)} classes, not {count}: unpack it again.")
    return names


def _records(paths: Sequence[Path], label_bytes: int, classes: int) -> Arrays:
    """Records of `label_bytes` (the last one is the fine label) and 3x32x32 pixels, by channel."""
    parts: list[np.ndarray] = []
    for path in paths:
        try:
            content = np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise UserError(
                f"{path} of the CIFAR binary version is missing: unpack it again."
            ) from error
        if not len(content) or len(content) % (label_bytes + PIXELS):
            raise UserError(f"{path} is cut short ({len(content)} bytes): unpack it again.")
        parts.append(content.reshape(-1, label_bytes + PIXELS))
    records = np.concatenate(parts)
    labels = torch.from_numpy(records[:, label_bytes - 1].astype(np.int64))
    if int(labels.max()) >= classes:
        raise UserError(
            f"{paths[0]} has label {int(labels.max())}: it is not CIFAR-{classes} file."
        )
    pixels = np.ascontiguousarray(records[:, label_bytes:]).reshape(-1, 3, 32, 32)
    return Arrays(torch.from_numpy(pixels), labels)
