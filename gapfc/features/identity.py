"""What maps depend on: images, network, arithmetic. Where one differs, they are computed anew."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import is_dataclass
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from torch import nn

import gapfc.data
from gapfc.data.arrays import Arrays
from gapfc.data.files import Files
from gapfc.data.loader import Loader
from gapfc.engine.device import Precision
from gapfc.model.classifier import BLOCK, Classifier
from gapfc.records.inputs import CLASSES

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))  # nn.Module's own bookkeeping


def images_identity(split: Arrays | Files) -> str:
    """Of the images of a split, in their order, and of their labels.

    Files by path, size and time of change: reading them all would take as long as decoding them.
    """
    found = hashlib.blake2b(digest_size=16)
    for numbers in (split.labels, split.places):
        found.update(_bytes(numbers))
    if isinstance(split, Arrays):
        found.update(repr(tuple(split.images.shape)).encode())
        found.update(_bytes(split.images))
    else:
        # Which of them are left out as unreadable, or refused.
        found.update(f"{split.skip_corrupt} {split.max_pixels}\n".encode())
        for path in split.paths:
            line = os.path.realpath(path)
            with contextlib.suppress(OSError):  # whoever reads it will say what is wrong with it
                status = os.stat(path)
                line += f"\0{status.st_size}\0{status.st_mtime_ns}"
            found.update(os.fsencode(f"{line}\n"))
    return found.hexdigest()


def network_identity(modules: Iterable[nn.Module]) -> str:
    """Of modules: their weights and statistics, structure, settings, and their classes' code.

    Code: the files that the classes, and those they derive from, stand in.
    """
    found = hashlib.blake2b(digest_size=16)
    kinds: set[type] = set()
    for module in modules:
        found.update(repr(module).encode())
        for name, tensor in (*module.state_dict().items(), *module.named_buffers()):
            found.update(_tensor(name, tensor))
        for part in module.modules():
            kinds.update(type(part).__mro__)
            for name, value in vars(part).items():
                if name not in _OF_EVERY_MODULE:
                    found.update(_attribute(name, value))
    for kind in sorted(kinds, key=str):
        if kind.__module__.partition(".")[0] not in ("torch", "torchvision", "builtins"):
            found.update(_source(kind).encode())
    return found.hexdigest()


def arithmetic(device: torch.device, precision: Precision, channels_last: bool) -> dict[str, Any]:
    """What computes, and so decides how numbers are rounded."""
    cuda = device.type == "cuda"
    return {
        "precision": precision.name,
        "channels_last": channels_last,
        "block": BLOCK,
        "threads": None if cuda else torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device)
        if cuda
        else f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        f"{' AMX' if torch.cpu._is_amx_tile_supported() else ''}",
        # Images are decoded, brought to size and augmented by these.
        "gapfc": _of_images(),
        "torch": torch.__version__,
        "pillow": PIL.__version__,
    }


@cache
def _of_images() -> str:
    """gapfc's version and its code of images: whoever changes it need not change the version."""
    found = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(gapfc.data.__path__[0]).rglob("*.py")):
        found.update(path.read_bytes())
    return f"{gapfc.__version__} {found.hexdigest()}"


def inputs_identity(loader: Loader) -> dict[str, Any]:
    """How an image is brought to the network."""
    record = loader.inputs.as_record()
    return {key: value for key, value in record.items() if key != CLASSES}


def of_maps(
    model: Classifier,
    loader: Loader,
    split: str,
    view: int | None,
    network: str,
    rounding: dict[str, Any],
) -> dict[str, Any]:
    """All of it, as plain JSON; what people read of it comes first."""
    images = loader.dataset.split(split)
    augment = {
        key: value
        for key, value in loader.settings.augment.items()
        if key not in ("name", "views", "mixup", "cutmix")
    }
    return {
        "dataset": loader.dataset.name,
        "folder": os.path.commonpath(images.paths) if isinstance(images, Files) else None,
        "split": split,
        "count": len(images),
        "backbone": getattr(model.backbone, "label", type(model.backbone).__name__),
        "stages": _stages(model),
        "size": list(loader.input_size),
        "view": view,
        "augment": None if view is None else augment,
        "images": images_identity(images),
        "inputs": inputs_identity(loader),
        "network": network,
        "arithmetic": rounding,
    }


def _stages(model: Classifier) -> str:
    """How many of the backbone's stages the maps are above."""
    lower, stages = model.lower_modules, list(model.backbone.children())
    whole = lower == [model.backbone] or lower == stages
    return "all" if whole else f"{len(lower)} of {len(stages)}"


def _bytes(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _tensor(name: str, tensor: torch.Tensor) -> bytes:
    head = f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
    return head + hashlib.blake2b(_bytes(tensor), digest_size=16).digest()


def _attribute(name: str, value: object) -> bytes:
    """What an attribute of a module adds: a setting, which its repr need not show, or a tensor."""
    if isinstance(value, torch.Tensor):
        return _tensor(name, value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"{name} {value.dtype} {value.shape}".encode() + value.tobytes()
    if isinstance(value, partial):
        parts = {"function": value.func, "arguments": value.args, **value.keywords}
        return b"".join(_attribute(f"{name}.{part}", one) for part, one in parts.items())
    if isinstance(value, Enum):
        return f"{name}={value}\n".encode()
    if isinstance(value, set | frozenset):
        return _attribute(name, sorted(value, key=repr))
    if is_dataclass(value) and not isinstance(value, type):
        return b"".join(_attribute(f"{name}.{part}", one) for part, one in vars(value).items())
    if _is_plain(value):
        return f"{name}={value!r}\n".encode()
    function = getattr(value, "__qualname__", None)  # such as torch.relu, kept to be called
    return f"{name}={getattr(value, '__module__', '')}.{function}\n".encode() if function else b""


def _is_plain(value: object) -> bool:
    """Whether its repr says all of it, and the same in every process."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, (*value, *value.values())))
    return value is None or isinstance(value, bool | int | float | complex | str | bytes)


def _source(kind: type) -> str:
    try:
        return inspect.getsource(sys.modules[kind.__module__])
    except (OSError, TypeError, KeyError):  # typed at a prompt, or compiled
        return f"{kind.__module__}.{kind.__qualname__}"
