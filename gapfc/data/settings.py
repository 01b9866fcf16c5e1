"""How images are brought to the network: the keys of a config that the loader reads, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig

from gapfc.data.sizes import Size, parse_size, parse_sizes
from gapfc.errors import UserError
from gapfc.settings.nodes import plain
from gapfc.validators import flag, one_of, whole


@dataclass(frozen=True)
class LoaderSettings:
    """Keys of `dataset`, `trainer` and `augment`, under their names there; sizes are (h, w).

    Attributes:
        image_size: None for `native`: every image at its own.
        max_size, size_multiple: of native photos, in pixels (see files.native_size).
        train_sizes: one per epoch, in turn; () for image_size alone.
        eval_sizes: sizes at which the final weights are measured as well.
    """

    image_size: Size | None
    resize: str
    max_size: int | None
    size_multiple: int
    train_sizes: tuple[Size, ...]
    eval_sizes: tuple[Size, ...]
    residency: str
    workers: int | Literal["auto"]
    batch_size: int
    eval_batch_size: int
    channels_last: bool
    seed: int
    augment: Mapping[str, Any]

    @classmethod
    def of(cls, config: DictConfig) -> LoaderSettings:
        """From the whole config of a run. Raises UserError for an invalid value."""
        dataset, trainer = config.dataset, config.trainer
        image_size = parse_size(dataset.image_size, "dataset.image_size")
        max_size, workers = dataset.get("max_size"), dataset.get("workers", "auto")
        if max_size is not None:
            whole("dataset.max_size", max_size, 1, takes="1 or more pixels, or null")
        if workers != "auto":
            whole("dataset.workers", workers, 0, takes="auto, or a number of processes, 0 or more")
        return cls(
            image_size=image_size,
            resize=one_of("dataset.resize", dataset.get("resize", "squash"), ("squash", "crop")),
            max_size=max_size,
            size_multiple=whole("dataset.size_multiple", dataset.get("size_multiple", 32), 1),
            train_sizes=_train_sizes(dataset, image_size),
            eval_sizes=parse_sizes(dataset.get("eval_sizes"), "dataset.eval_sizes"),
            residency=one_of(
                "dataset.residency",
                dataset.get("residency", "auto"),
                ("auto", "device", "stream"),
            ),
            workers=workers,
            batch_size=whole("trainer.batch_size", trainer.batch_size, 1),
            eval_batch_size=whole("trainer.eval_batch_size", trainer.eval_batch_size, 1),
            channels_last=flag("trainer.channels_last", trainer.channels_last),
            seed=config.seed,
            augment=plain(config.augment),
        )


def _train_sizes(dataset: DictConfig, image_size: Size | None) -> tuple[Size, ...]:
    """None of them may exceed image_size: there are no more pixels to resize from."""
    sizes = parse_sizes(dataset.get("train_sizes"), "dataset.train_sizes")
    if sizes and image_size is None:
        raise UserError(
            "dataset.train_sizes needs a fixed dataset.image_size=n|[h, w], from which the smaller "
            "sizes are resized; it cannot be used with dataset.image_size=native."
        )
    for height, width in sizes:
        if image_size is not None and (height > image_size[0] or width > image_size[1]):
            raise UserError(
                f"dataset.train_sizes has {height}x{width}, larger than dataset.image_size="
                f"{dataset.image_size}: make dataset.image_size the largest of them."
            )
    return sizes
