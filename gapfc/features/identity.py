"""What maps depend on: images, network, arithmetic. Where one differs, they are computed anew."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import platform
from collections.abc import Iterable
from typing import Any

import PIL
import torch
from torch import nn

import gapfc
from gapfc.data.arrays import Arrays
from gapfc.data.files import Files
from gapfc.data.loader import Loader
from gapfc.engine.device import Precision
from gapfc.model.classifier import BLOCK, Classifier
from gapfc.records.inputs import CLASSES


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
        for path in split.paths:
            line = os.path.realpath(path)
            with contextlib.suppress(OSError):  # whoever reads it will say what is wrong with it
                status = os.stat(path)
                line += f"\0{status.st_size}\0{status.st_mtime_ns}"
            found.update(os.fsencode(f"{line}\n"))
    return found.hexdigest()


def network_identity(modules: Iterable[nn.Module]) -> str:
    """Of modules: their weights and statistics, their structure, and the code of their classes."""
    found = hashlib.blake2b(digest_size=16)
    for module in modules:
        found.update(repr(module).encode())
        for name, tensor in module.state_dict().items():
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(_bytes(tensor))
        for kind in sorted({type(part) for part in module.modules()}, key=lambda kind: str(kind)):
            if not kind.__module__.startswith(("torch.", "torchvision.")):
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
        "gapfc": gapfc.__version__,
        "torch": torch.__version__,
        "pillow": PIL.__version__,
    }


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
        "split": split,
        "count": len(images),
        "backbone": getattr(model.backbone, "label", type(model.backbone).__name__),
        "size": list(loader.input_size),
        "view": view,
        "augment": None if view is None else augment,
        "images": images_identity(images),
        "inputs": inputs_identity(loader),
        "network": network,
        "arithmetic": rounding,
    }


def _bytes(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # typed at a prompt, or compiled
        return f"{kind.__module__}.{kind.__qualname__}"
