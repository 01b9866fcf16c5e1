"""How images are brought to the network: the keys of a config that the loader reads, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig

from gapfc.data.order import SAMPLERS
from gapfc.data.sizes import Size, parse_size, parse_sizes
from gapfc.errors import UserError
from gapfc.formatting import times
from gapfc.records.inputs import LEAST_CROP_SHARE, RESIZE
from gapfc.settings.nodes import plain
from gapfc.validators import flag, number, one_of, whole


@dataclass(frozen=True)
class LoaderSettings:
    """Keys of `dataset`, `trainer` and `augment`, under their names there; sizes are (h, w).

    Attributes:
        image_size: None for `native`: every image at its own.
        canvas: of the black square that images are set into, or None.
        max_size, size_multiple: of native photos, in pixels (see files.native_size).
        train_sizes: one per epoch, in turn; () for image_size alone.
        eval_sizes: sizes at which the final weights are measured as well.
        views: `augment.views`: augmented views of each image, or None for a new one each time.
    """

    image_size: Size | None
    canvas: Size | None
    resize: str
    crop_share: float
    max_size: int | None
    size_multiple: int
    train_sizes: tuple[Size, ...]
    eval_sizes: tuple[Size, ...]
    residency: str
    workers: int | Literal["auto"]
    sampler: str
    batch_size: int
    eval_batch_size: int
    channels_last: bool
    seed: int
    augment: Mapping[str, Any]
    views: int | None

    @classmethod
    def of(cls, config: DictConfig) -> LoaderSettings:
        """From the whole config of a run. Raises UserError for an invalid value."""
        dataset, trainer = config.dataset, config.trainer
        image_size = parse_size(dataset.image_size, "dataset.image_size")
        canvas = _canvas(dataset.get("canvas"), image_size)
        max_size, workers = dataset.get("max_size"), dataset.get("workers", "auto")
        if max_size is not None:
            whole("dataset.max_size", max_size, 1, takes="1 or more pixels, or null")
        if workers != "auto":
            whole("dataset.workers", workers, 0, takes="auto, or a number of processes, 0 or more")
        return cls(
            image_size=image_size,
            canvas=canvas,
            resize=one_of("dataset.resize", dataset.get("resize", "squash"), RESIZE),
            crop_share=_crop_share(dataset, image_size),
            max_size=max_size,
            size_multiple=whole("dataset.size_multiple", dataset.get("size_multiple", 32), 1),
            train_sizes=_train_sizes(dataset, canvas or image_size),
            eval_sizes=parse_sizes(dataset.get("eval_sizes"), "dataset.eval_sizes"),
            residency=one_of(
                "dataset.residency",
                dataset.get("residency", "auto"),
                ("auto", "device", "stream"),
            ),
            workers=workers,
            sampler=one_of("dataset.sampler", dataset.get("sampler", "shuffle"), SAMPLERS),
            batch_size=whole("trainer.batch_size", trainer.batch_size, 1),
            eval_batch_size=whole("trainer.eval_batch_size", trainer.eval_batch_size, 1),
            channels_last=flag("trainer.channels_last", trainer.channels_last),
            seed=config.seed,
            augment=plain(config.augment),
            views=_views(config.augment.get("views")),
        )

    @property
    def input_size(self) -> Size | None:
        """What a network is given; None for `native`."""
        return self.canvas or self.image_size


def _views(count: Any) -> int | None:
    if count is None:
        return None
    return whole("augment.views", count, 1, takes="1 or more views of each image, or null")


def _crop_share(dataset: DictConfig, image_size: Size | None) -> float:
    """Refused where it would do nothing, or enlarge photos that are to keep their sizes."""
    share = number("dataset.crop_share", dataset.get("crop_share", 1.0), LEAST_CROP_SHARE, 1)
    if share < 1 and dataset.get("resize", "squash") != "crop":
        raise UserError(
            f"dataset.crop_share={share:g} is of dataset.resize=crop alone: set that as well, or "
            "leave crop_share at 1."
        )
    if share < 1 and image_size is None:
        raise UserError(
            f"dataset.crop_share={share:g} needs images of one size: set dataset.image_size=n."
        )
    return float(share)


def _canvas(side: Any, image_size: Size | None) -> Size | None:
    if side is None:
        return None
    whole("dataset.canvas", side, 1, takes="a side in pixels, 1 or more, or null")
    if image_size is None:
        raise UserError(
            f"dataset.canvas={side} needs images of one size: set dataset.image_size=n|[h, w]; it "
            "cannot be used with dataset.image_size=native."
        )
    if side < max(image_size):
        raise UserError(
            f"dataset.canvas={side} is smaller than dataset.image_size="
            f"{times(image_size)}: it takes {max(image_size)} or more."
        )
    return (side, side)


def _train_sizes(dataset: DictConfig, largest: Size | None) -> tuple[Size, ...]:
    """None of them may exceed `largest`: there are no more pixels to resize from."""
    sizes = parse_sizes(dataset.get("train_sizes"), "dataset.train_sizes")
    if sizes and largest is None:
        raise UserError(
            "dataset.train_sizes needs a fixed dataset.image_size=n|[h, w], from which the smaller "
            "sizes are resized; it cannot be used with dataset.image_size=native."
        )
    for height, width in sizes:
        if largest is not None and (height > largest[0] or width > largest[1]):
            key = "image_size" if dataset.get("canvas") is None else "canvas"
            raise UserError(
                f"dataset.train_sizes has {height}x{width}, larger than dataset.{key}="
                f"{dataset[key]}: make dataset.{key} the largest of them."
            )
    return sizes
