"""The batches a network is trained on and measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional

from gapfc.data.augment import Augmentation
from gapfc.data.dataset import Dataset
from gapfc.data.loader import Reader, reader
from gapfc.data.normalize import Normalize
from gapfc.data.order import FixedOrder, SizedOrder, epoch_generator, group_by_size
from gapfc.data.reader import Chunk
from gapfc.data.resident import Resident
from gapfc.data.sizes import Size, parse_size, parse_train_sizes
from gapfc.errors import UserError

Batch = tuple[Tensor, Tensor]


class TrainingBatches:
    """Shuffled, augmented, normalised training batches: a function of (seed, epoch) alone.

    steps: batches in an epoch. train_sizes: one (h, w) an epoch, in turn; () for the reader's own.
    """

    def __init__(
        self,
        images: Reader,
        order: FixedOrder | SizedOrder,
        augmentation: Augmentation,
        normalize: Normalize,
        train_sizes: Sequence[Size],
        seed: int,
        device: torch.device,
    ) -> None:
        self._images = images
        self._order = order
        self._augmentation = augmentation
        self._normalize = normalize
        self._train_sizes = tuple(train_sizes)
        self._seed = seed
        self._device = device
        self.steps = order.steps

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches start.. of `epoch` (counted from 0), on the device.

        Each is (images: float32 [B, 3, h, w], labels: int64 [B]).
        """
        for images, chunk in self._augmented(epoch, start):
            # All batches of the chunk at once: for small ones a call costs as much as its pixels.
            yield from zip(
                self._normalize(images).split(chunk.lengths),
                chunk.labels.split(chunk.lengths),
                strict=True,
            )

    def preview(self, count: int) -> Tensor:
        """Up to `count` images of the first batches of epoch 0: float32 [n, 3, h, w] in [0, 1].

        Augmented, not normalised, on the CPU, all of one size.
        """
        found: list[Tensor] = []
        for images, _ in self._augmented(0, 0, last=-(-count // self._order.batch_size)):
            if found and found[0].shape[1:] != images.shape[1:]:
                break
            found.append(images)
        images = torch.cat(found)[:count]
        return images.expand(-1, 3, -1, -1).float().div(255).cpu()

    def _augmented(
        self, epoch: int, start: int, last: int | None = None
    ) -> Iterator[tuple[Tensor, Chunk]]:
        generator = epoch_generator(self._seed, epoch)
        batches = self._order.batches(generator)
        random = self._augmentation.draw(sum(len(batch) for batch in batches), generator)
        skipped = sum(len(batch) for batch in batches[:start])
        random = random[skipped:].to(self._device)
        size = self._train_sizes[epoch % len(self._train_sizes)] if self._train_sizes else None
        for chunk in self._images.read(batches[start:last]):
            yield _shrink(self._augmentation(chunk.images, random[chunk.rows]), size), chunk


def _shrink(images: Tensor, size: Size | None) -> Tensor:
    """uint8 [B, c, h, w] to a smaller `size`, antialiased, on the device."""
    if size is None or tuple(images.shape[2:]) == size:
        return images
    smaller = functional.interpolate(
        images.float(), size=size, mode="bilinear", align_corners=False, antialias=True
    )
    return smaller.round_().clamp_(0, 255).byte()


class EvaluationBatches:
    """Normalised images in a fixed order; may be iterated again and again.

    Images of native sizes come size by size, all others as the split holds them.
    """

    def __init__(self, images: Reader, groups: list[Tensor], batch_size: int, normalize: Normalize):
        self._images = images
        self._batch_size = batch_size
        self._normalize = normalize
        self._batches = [batch for group in groups for batch in group.split(batch_size)]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        if isinstance(self._images, Resident):
            images = self._images.images.split(self._batch_size)
            every = self._images.labels.split(self._batch_size)
            for part, labels in zip(images, every, strict=True):
                yield self._normalize(part), labels
            return
        for chunk in self._images.read(self._batches):
            yield self._normalize(chunk.images), chunk.labels


def training_batches(
    dataset: Dataset, config: DictConfig, device: torch.device | str
) -> TrainingBatches:
    """The training split as `config` (of the whole run) wants it. Raises UserError for bad keys."""
    device = torch.device(device)
    batch_size = _batch_size(config, "batch_size")
    _batch_size(config, "eval_batch_size")  # it is first used when an epoch is over
    train_sizes = parse_train_sizes(config.dataset)
    augmentation = Augmentation(config.augment, dataset.mean)
    images = reader(dataset, "train", config, device)
    if images.sizes is None:
        order: FixedOrder | SizedOrder = FixedOrder(len(images), batch_size)
    else:
        order = SizedOrder(images.sizes, batch_size)
    normalize = Normalize(dataset.mean, dataset.std, device, config.trainer.channels_last)
    return TrainingBatches(images, order, augmentation, normalize, train_sizes, config.seed, device)


def evaluation_batches(
    dataset: Dataset,
    split: str,
    config: DictConfig,
    device: torch.device | str,
    image_size: int | Sequence[int] | None = None,
) -> EvaluationBatches:
    """A split ("train", "val" or "test") without augmentation, in batches of eval_batch_size.

    image_size: n or [h, w] instead of dataset.image_size. Raises UserError for bad settings, and
    ValueError where the data set has no such split.
    """
    device = torch.device(device)
    size = None if image_size is None else parse_size(image_size, "dataset.eval_sizes")
    images = reader(dataset, split, config, device, size)
    groups = [torch.arange(len(images))] if images.sizes is None else group_by_size(images.sizes)
    normalize = Normalize(dataset.mean, dataset.std, device, config.trainer.channels_last)
    return EvaluationBatches(images, groups, _batch_size(config, "eval_batch_size"), normalize)


def _batch_size(config: DictConfig, key: str) -> int:
    value = config.trainer[key]
    if not isinstance(value, int) or value < 1:
        raise UserError(f"trainer.{key}={value} must be 1 or more images.")
    return value
