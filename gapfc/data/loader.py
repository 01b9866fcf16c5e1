"""A data set as batches on the device: what trains a network, and what measures it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gapfc.data.arrays import Arrays
from gapfc.data.augment import Augmentation
from gapfc.data.batches import EvaluationBatches, TrainingBatches
from gapfc.data.canvas import OnCanvas
from gapfc.data.dataset import Dataset
from gapfc.data.framing import Framing
from gapfc.data.normalize import Normalize
from gapfc.data.order import Order, choose_order
from gapfc.data.raw_dataset import Split
from gapfc.data.reader import Reader
from gapfc.data.resident import Resident, make_resident
from gapfc.data.settings import LoaderSettings
from gapfc.data.shared_images import taken
from gapfc.data.sizes import Size
from gapfc.data.stream import Stream, count_workers
from gapfc.data.views import InView, Views
from gapfc.errors import UserError
from gapfc.ranks.ranks import ALONE, Ranks
from gapfc.records.inputs import Inputs

log = logging.getLogger(__name__)

CPU_LIMIT = 2 * 2**30  # bytes
CUDA_SHARE = 1 / 4  # of the free memory


class Loader:
    """Reads the splits of `dataset` as `settings` say; each only once if it is kept resident.

    check: called between batches of evaluation, and may raise to stop there. ranks: among whom each
    batch of training is divided.

    check_together: the same where several ranks evaluate, all of them equally often.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: LoaderSettings,
        device: torch.device,
        check: Callable[[], None] = lambda: None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.dataset = dataset
        self.settings = settings
        self.device = device
        self.check = check
        self.check_together = check
        self.shared: Mapping[str, str] = {}  # files of splits that another process has read
        self._readers: dict[str, Reader] = {}
        self._kept: dict[str, Resident] = {}
        self._residency: str | None = None
        self._said: str | None = None  # the choice that the log has already

    def over(self, dataset: Dataset) -> Loader:
        """A loader of other images, by the same settings."""
        other = Loader(dataset, self.settings, self.device, self.check)
        other._said = self._residency
        return other

    def taking(self, split: str, index: Tensor) -> Loader:
        """A loader whose `split` has only the images at `index` (int64 [n]): few, for one look."""
        some: dict[str, Any] = {split: self.dataset.split(split).take(index)}
        other = self.over(replace(self.dataset, **some))
        # Processes would take longer to start than a few images to read.
        other.settings = replace(self.settings, workers=0)
        return other

    def forget(self) -> None:
        """Give up the images that are kept, and the processes that read them.

        Either comes again if it is asked for. Python's exit would warn of processes.
        """
        self._readers.clear()
        self._kept.clear()

    def kept(self) -> dict[str, Resident]:
        """The splits that are kept, and that other processes of this machine need not read.

        On a GPU without those of arrays, of which each process has its own copy there.
        """
        arrays_too = self.device.type == "cpu"
        return {
            split: images
            for split, images in self._kept.items()
            if arrays_too or not isinstance(self.dataset.split(split), Arrays)
        }

    @property
    def input_size(self) -> Size:
        """Height and width to build and count a model for; for `native` photos their median."""
        if self.settings.input_size is not None:
            return self.settings.input_size
        train = self.dataset.train
        if isinstance(train, Arrays):
            return train.size
        return train.median_size(self.settings.max_size, self.settings.size_multiple)

    @cached_property  # each better epoch records it; the median of native sizes is of all photos
    def inputs(self) -> Inputs:
        """What `evaluation` does to an image, as a run records it."""
        settings, train = self.settings, self.dataset.train
        arrays, image_size = isinstance(train, Arrays), settings.image_size
        if image_size is None and isinstance(train, Arrays):
            image_size = train.size
        mean, std = self.dataset.mean, self.dataset.std
        return Inputs(
            classes=self.dataset.classes,
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
            size=self.input_size,
            image_size=image_size,
            canvas=settings.canvas,
            resize="squash" if arrays else settings.resize,
            crop_share=1.0 if arrays else settings.crop_share,
            resampler="torch" if arrays else "pillow",
            max_size=settings.max_size,
            size_multiple=settings.size_multiple,
        )

    def training(self) -> TrainingBatches:
        """The training images, shuffled and augmented.

        Raises UserError for a bad `augment`, and for a sampler, or several ranks, that need images
        of one size.
        """
        settings = self.settings
        images = self.reader("train")
        if images.sizes is not None and self.ranks.size > 1:
            raise UserError(
                "dataset.image_size=native needs trainer.devices=1: of rare sizes there are fewer "
                "images than devices. Or set dataset.image_size=n|[h, w]"
            )
        return TrainingBatches(
            images,
            self.order(images.labels, images.sizes),
            self.augmentation,
            self.normalize,
            settings.train_sizes,
            settings.seed,
            self.device,
            self.views(len(images)),
            self.ranks,
        )

    def order(self, labels: Tensor, sizes: Sequence[Size] | None = None) -> Order:
        """The batches of each epoch of images with such labels (int64 [N]); see choose_order."""
        return choose_order(labels, sizes, self.settings.batch_size, self.settings.sampler)

    @property
    def augmentation(self) -> Augmentation:
        """What happens to training images. Raises UserError for a bad `augment`."""
        return Augmentation(self.settings.augment, self.dataset.mean)

    def views(self, images: int) -> Views | None:
        """The views of so many training images; None: none that are the same in every epoch."""
        count, augmentation = self.settings.views, self.augmentation
        if count is None or not augmentation.operations:
            return None
        return Views(augmentation, count, images)

    def view(self, number: int) -> EvaluationBatches:
        """Every training image in view `number`, as `evaluation`. Only where there are views."""
        images = self.reader("train")
        views = self.views(len(images))
        assert views is not None
        shown, size = InView(images, views, number), self.settings.eval_batch_size
        return EvaluationBatches(shown, size, self.normalize, self.check)

    def evaluation(
        self, split: str, size: Size | None = None, ranks: Ranks = ALONE
    ) -> EvaluationBatches:
        """A split ("train", "val" or "test") as it is, in batches of eval_batch_size.

        size: (h, w) instead of input_size; a canvas is scaled together with the image on it. ranks:
        who have the batches in turn. ValueError if there is no such split.
        """
        images, each = self.reader(split, size), self.settings.eval_batch_size
        check = self.check if ranks.size == 1 else self.check_together
        return EvaluationBatches(images, each, self.normalize, check, ranks)

    @property
    def normalize(self) -> Normalize:
        """From uint8 on the device to what the network takes."""
        mean, std = self.dataset.mean, self.dataset.std
        return Normalize(mean, std, self.device, self.settings.channels_last)

    def reader(self, split: str, size: Size | None = None) -> Reader:
        """Reads one split at `size`, or at input_size; kept, so that asking again is free.

        Training and validation images become resident; test images, seen once, do so only when
        they are arrays. Another `size` than the configured one is never kept.
        """
        images, settings = self.dataset.split(split), self.settings
        configured = settings.image_size
        if configured is None and isinstance(images, Arrays):
            configured = images.size
        workers = count_workers(settings.workers, images)
        framing = Framing(settings.resize, settings.crop_share, self.dataset.mean)
        canvas = settings.canvas
        if size is not None and size != (canvas or configured):
            if canvas is None:
                return Stream(images, size, framing, self.device, workers)
            assert configured is not None
            inside = _scaled(configured, canvas, size)
            return OnCanvas(Stream(images, inside, framing, self.device, workers), size)
        if split not in self._readers:
            resident = self._keeps() and (split != "test" or isinstance(images, Arrays))
            if configured is None:
                assert not isinstance(images, Arrays)
                native = images.native_sizes(settings.max_size, settings.size_multiple)
                reader: Reader = Stream(images, native, framing, self.device, workers)
            elif resident:
                reader = self._kept[split] = self._resident(split, configured, framing)
            else:
                reader = Stream(images, configured, framing, self.device, workers)
            self._readers[split] = reader if canvas is None else OnCanvas(reader, canvas)
        return self._readers[split]

    def _resident(self, split: str, size: Size, framing: Framing) -> Resident:
        images, there = self.dataset.split(split), self.shared.get(split)
        found = None if there is None else taken(there, self.device)
        if found is None:
            return make_resident(images, size, framing, self.device)
        if isinstance(images, Arrays) and images.size == size:
            images.images.data = found.images  # in place of this process's own copy
        return found

    @property
    def residency(self) -> str:
        """`device` or `stream`: what dataset.residency comes to. Raises as `_keeps`."""
        return "device" if self._keeps() else "stream"

    def _keeps(self) -> bool:
        """Whether images stay on the device; for residency=auto whether they fit.

        Logs once that they do not. Raises UserError for residency=device with photos of native
        sizes.
        """
        if self._residency is None:
            self._residency = self._choose_residency()
        return self._residency == "device"

    def _choose_residency(self) -> str:
        dataset, wanted = self.dataset, self.settings.residency
        size = self.settings.image_size
        if size is None and not isinstance(dataset.train, Arrays):
            if wanted == "device":
                raise UserError(
                    "dataset.residency=device needs images of one size: set dataset.image_size, "
                    "or dataset.residency=stream."
                )
            return "stream"
        if wanted != "auto":
            return wanted
        splits = (dataset.train, dataset.val, dataset.test)
        needed = sum(_bytes(split, size) for split in splits if split)
        limit = CPU_LIMIT
        if self.device.type == "cuda":
            limit = int(torch.cuda.mem_get_info(self.device)[0] * CUDA_SHARE)
        choice = "device" if needed <= limit else "stream"
        if choice == "stream" and choice != self._said:
            log.info(
                "The images are read batch by batch, since %.0f MiB are more than the %.0f MiB "
                "that may stay on %s (dataset.residency=device keeps them there)",
                needed / 2**20,
                limit / 2**20,
                self.device.type,
            )
        return choice


def _scaled(image: Size, canvas: Size, size: Size) -> Size:
    """The size of an image on a canvas of `size`, in proportion."""
    height, width = (max(1, round(i * s / c)) for i, c, s in zip(image, canvas, size, strict=True))
    return (height, width)


def _bytes(split: Split, size: Size | None) -> int:
    if isinstance(split, Arrays):
        return len(split) * split.images.shape[1] * math.prod(size or split.size)
    assert size is not None
    return len(split) * 3 * math.prod(size)
