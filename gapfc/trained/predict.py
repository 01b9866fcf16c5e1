"""What a trained model sees in image files, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from gapfc import heads
from gapfc.data.files import reason
from gapfc.data.photo import UNREADABLE
from gapfc.data.prepare import prepare_file
from gapfc.engine.out_of_memory import is_out_of_memory
from gapfc.errors import UserError
from gapfc.formatting import first_line
from gapfc.measure.activation_map import class_activation_map
from gapfc.system.cores import usable_cores
from gapfc.trained.images import ImageFile
from gapfc.trained.model import TrainedModel, by_size

# Images at a time. Photos of native sizes may each be as large as a whole batch of others.
BATCH, NATIVE_BATCH = 64, 8


@dataclass(frozen=True)
class Prediction:
    """What was seen in one image.

    Attributes:
        top: the likeliest classes with their probabilities, falling; empty if the network gave no
            finite number.
        activation: what speaks for the first of them, as `class_activation_map` gives it: float32
            [H, W] on the CPU, or None.
    """

    image: ImageFile
    top: tuple[tuple[int, float], ...]
    activation: Tensor | None = None


@dataclass(frozen=True)
class Skipped:
    """An image that cannot be read, and why."""

    image: ImageFile
    reason: str


Seen = list[Prediction | Skipped]


def predict(
    model: TrainedModel,
    images: Sequence[ImageFile],
    top: int = 1,
    maps: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Seen]:
    """What `model` sees in `images`, in their order, a batch at a time.

    No more than two batches are in memory: one is read while the other is computed.

    Args:
        model: of `load`.
        images: files.
        top: how many classes of each.
        maps: whether to add class activation maps.
        check: called after each batch, and may raise to stop there.

    Raises UserError where there is not enough memory.
    """
    size = NATIVE_BATCH if model.inputs.image_size is None else BATCH
    with ThreadPoolExecutor(len(usable_cores())) as pool:
        following: list[Future[Tensor | str]] = []
        for start in range(0, len(images), size):
            waiting = following or _begin(pool, model, images[:size])
            following = _begin(pool, model, images[start + size : start + 2 * size])
            batch = images[start : start + size]
            try:
                yield _predicted(model, batch, [read.result() for read in waiting], top, maps)
                check()
            except BaseException as error:
                pool.shutdown(cancel_futures=True)
                if not is_out_of_memory(error):
                    raise
                raise UserError(
                    f"{batch[0].path}: there is not enough memory on {model.device.type} for it "
                    "and the images after it. Give fewer or smaller ones."
                ) from error


def check_has_maps(model: TrainedModel) -> None:
    """UserError, before anything is read, if the model has no class activation maps."""
    height, width = model.inputs.size
    black = torch.zeros(1, 3, height, width, device=model.device)
    try:
        places = class_activation_map(model.backbone, model.head, black).numel()
    except RuntimeError as error:  # torch's, where the logits have no gradient
        raise UserError(
            f"--cam: {type(model.head).__name__} has no class activation map: its logits have no "
            f"gradient ({first_line(str(error))[:80]}). Heads that have one: "
            f"{heads.names(lambda head: True)}."
        ) from error
    if places == 1:
        raise UserError(
            f"--cam: the last feature map of this network has a single place for {height}×{width} "
            "pixels, which tells nothing of where. Train at a larger dataset.image_size, or with "
            "fewer strides in the backbone."
        )


def _begin(
    pool: ThreadPoolExecutor, model: TrainedModel, images: Sequence[ImageFile]
) -> list[Future[Tensor | str]]:
    return [pool.submit(_read, model, image) for image in images]


def _read(model: TrainedModel, image: ImageFile) -> Tensor | str:
    """The image, prepared; or why it cannot be read."""
    try:
        return prepare_file(image.path, model.inputs)
    except UNREADABLE as error:
        return reason(error)


def _predicted(
    model: TrainedModel,
    images: Sequence[ImageFile],
    read: Sequence[Tensor | str],
    top: int,
    maps: bool,
) -> Seen:
    readable = [(image, found) for image, found in zip(images, read, strict=True)
                if isinstance(found, Tensor)]  # fmt: skip
    prepared = [found for _, found in readable]
    predictions: Iterator[Prediction] = iter(())
    if prepared:
        with torch.inference_mode():
            logits = model.logits(prepared).float().cpu()
        activations = _maps(model, prepared, logits.argmax(1)) if maps else [None] * len(prepared)
        tops = [_top(row, top) for row in logits]
        predictions = map(Prediction, (image for image, _ in readable), tops, activations)
    return [
        Skipped(image, found) if isinstance(found, str) else next(predictions)
        for image, found in zip(images, read, strict=True)
    ]


def _top(logits: Tensor, count: int) -> tuple[tuple[int, float], ...]:
    if not logits.isfinite().all():
        return ()
    values, numbers = logits.softmax(0).topk(min(count, len(logits)))
    return tuple(zip(numbers.tolist(), values.tolist(), strict=True))


def _maps(model: TrainedModel, prepared: Sequence[Tensor], seen: Tensor) -> list[Tensor | None]:
    found: list[Tensor | None] = [None] * len(prepared)
    for rows, batch in by_size(prepared):
        images = model.normalize(batch)
        classes = seen[rows].to(images.device)
        maps = class_activation_map(model.backbone, model.head, images, classes).cpu()
        for row, activation in zip(rows, maps, strict=True):
            found[row] = activation
    return found
