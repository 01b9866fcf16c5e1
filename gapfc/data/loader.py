"""Whether a data set lives on the device or is streamed to it."""

from __future__ import annotations

import logging
import math

import torch
from omegaconf import DictConfig

from gapfc.data.arrays import Arrays
from gapfc.data.dataset import Dataset, parse_max_size, parse_multiple
from gapfc.data.files import Files
from gapfc.data.raw_dataset import Split
from gapfc.data.resident import Resident, make_resident
from gapfc.data.sizes import Size, parse_size
from gapfc.data.stream import Stream, count_workers
from gapfc.errors import UserError

log = logging.getLogger(__name__)

CPU_LIMIT = 2 * 2**30  # bytes
CUDA_SHARE = 1 / 4  # of the memory that is free

Reader = Resident | Stream


def reader(
    dataset: Dataset,
    split: str,
    config: DictConfig,
    device: torch.device,
    size: Size | None = None,
) -> Reader:
    """Reads one split at `size`, or at dataset.image_size; kept, so that asking again is free.

    Training and validation images become resident; test images, seen once, do so only when they
    are arrays. Another `size` than the configured one is never kept.
    """
    images = dataset.split(split)
    how = config.dataset.get("resize", "squash")
    if how not in ("squash", "crop"):
        raise UserError(f"dataset.resize={how} takes squash or crop.")
    configured = parse_size(config.dataset.image_size, "dataset.image_size")
    if configured is None and isinstance(images, Arrays):
        configured = images.size
    workers = count_workers(config.dataset.get("workers", "auto"), images)
    if size is not None and size != configured:
        return Stream(images, size, how, device, workers)
    key = (split, configured, how, config.dataset.get("residency"), workers, str(device))
    if key not in dataset.readers:
        resident = choose_residency(dataset, config, device) == "device"
        if configured is None and isinstance(images, Files):
            native = images.native_sizes(
                parse_max_size(config.dataset), parse_multiple(config.dataset)
            )
            dataset.readers[key] = Stream(images, native, how, device, workers)
        elif (
            configured is not None and resident and (split != "test" or isinstance(images, Arrays))
        ):
            dataset.readers[key] = make_resident(images, configured, how, device)
        elif configured is not None:
            dataset.readers[key] = Stream(images, configured, how, device, workers)
    return dataset.readers[key]


def choose_residency(dataset: Dataset, config: DictConfig, device: torch.device) -> str:
    """`dataset.residency` as "device" or "stream"; auto: what fits, said once in the log.

    Raises UserError for another value, and for residency=device with photos of native sizes.
    """
    wanted = config.dataset.get("residency", "auto")
    if wanted not in ("auto", "device", "stream"):
        raise UserError(f"dataset.residency={wanted} takes auto, device or stream.")
    size = parse_size(config.dataset.image_size, "dataset.image_size")
    if size is None and not isinstance(dataset.train, Arrays):
        if wanted == "device":
            raise UserError(
                "dataset.residency=device needs images of one size: set dataset.image_size, "
                "or dataset.residency=stream."
            )
        return "stream"
    if wanted != "auto":
        return str(wanted)
    needed = sum(
        _bytes(split, size) for split in (dataset.train, dataset.val, dataset.test) if split
    )
    limit = CPU_LIMIT
    if device.type == "cuda":
        limit = int(torch.cuda.mem_get_info(device)[0] * CUDA_SHARE)
    choice = "device" if needed <= limit else "stream"
    message = "residency=auto: %s on %s (%.1f MiB of uint8, limit %.0f MiB)"
    if choice != dataset.residency:
        log.info(message, choice, device.type, needed / 2**20, limit / 2**20)
    dataset.residency = choice
    return choice


def _bytes(split: Split, size: Size | None) -> int:
    if isinstance(split, Arrays):
        return len(split) * split.images.shape[1] * math.prod(size or split.size)
    assert size is not None
    return len(split) * 3 * math.prod(size)
