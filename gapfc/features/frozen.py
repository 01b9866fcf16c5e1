"""The maps that stand in for images while all that is trained lies above a frozen part."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from gapfc.data.loader import CUDA_SHARE, Loader
from gapfc.data.order import epoch_generator
from gapfc.engine.device import Precision
from gapfc.features.identity import arithmetic, network_identity, of_maps
from gapfc.features.maps import EvaluationMaps, Maps, TrainingMaps, kept_rows
from gapfc.features.store import GIB, Entry, Layout, Store, Writer
from gapfc.formatting import from_here, plural, short_time
from gapfc.measure.complexity import evaluating
from gapfc.model.classifier import Classifier
from gapfc.ranks.ranks import ALONE, Ranks

log = logging.getLogger(__name__)


class CannotKeep(Exception):
    """Maps can't be kept; the message says why, and what would change that."""


@dataclass
class Frozen:
    """Computes the maps of each split when they are asked for; what is in `store` is found there.

    Attributes:
        model: on its device, with a lower part.
        loader: of the images, all of one size.
        precision: of the forward pass.
        store: where maps are kept.
        augmented: whether what trains sees augmented images, if the settings say so.
        bar: whether to show a progress bar; None: on a terminal.
        stop: called while another run computes the same; it may raise to stop there.
        clock: seconds, which stand still where `check` waits.
        seconds: spent on computing maps so far.
    """

    model: Classifier
    loader: Loader
    precision: Precision
    store: Store
    augmented: bool = True
    bar: bool | None = None
    stop: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.perf_counter
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._made: dict[tuple[str, int | None], Maps] = {}

    def training(self) -> TrainingMaps:
        """The training batches, of maps. Raises CannotKeep, and UserError for corrupt files."""
        loader, count = self.loader, self.views
        shown = [self._maps("train", view) for view in ([None] if count is None else range(count))]
        labels, seed = shown[0].labels, loader.settings.seed
        order = loader.order(labels)

        def preview(number: int) -> Tensor:
            first = torch.cat(order.batches(epoch_generator(seed, 0)))[:number]
            some = _index(shown[0].places[first], loader.dataset.train.places)
            return loader.taking("train", some).training().preview(number)

        views = None if count is None else loader.views(len(labels))
        return TrainingMaps(shown, order, views, seed, loader.device, preview, loader.ranks)

    def evaluation(self, split: str, ranks: Ranks = ALONE) -> EvaluationMaps:
        """A split as it is, in batches of maps. Raises as `training`."""
        loader = self.loader
        size = loader.settings.eval_batch_size
        check = loader.check if ranks.size == 1 else loader.check_together
        return EvaluationMaps(self._maps(split), size, loader.device, check, ranks)

    @property
    def said(self) -> str:
        """Where the maps are from, for the user."""
        where = from_here(self.store.folder)
        if self.views:
            where += f" (augment.views={self.views})"
        if not self.seconds:
            return f"found in {where}"
        return f"computed in {short_time(self.seconds)}, kept for all heads and seeds in {where}"

    @property
    def views(self) -> int | None:
        """How many augmented views of an image are trained on; None: the image as it is."""
        augmented = self.augmented and self.loader.augmentation.operations
        return self.loader.settings.views if augmented else None

    @property
    def fits(self) -> bool:
        """Whether the lower part of the model still is the one that the maps are of."""
        return network_identity(self.model.lower_modules) == self._network

    @cached_property
    def _network(self) -> str:
        return network_identity(self.model.lower_modules)

    @cached_property
    def _arithmetic(self) -> dict[str, Any]:
        loader = self.loader
        return arithmetic(loader.device, self.precision, loader.settings.channels_last)

    def _maps(self, split: str, view: int | None = None) -> Maps:
        if (split, view) not in self._made:
            self._made[split, view] = self._load(self._entry(split, view), split)
        return self._made[split, view]

    def _load(self, entry: Entry, split: str) -> Maps:
        rows, device = kept_rows(entry), self.loader.device
        if device.type == "cuda" and entry.bytes < CUDA_SHARE * torch.cuda.mem_get_info(device)[0]:
            rows = rows.to(device)
        images, places = self.loader.dataset.split(split), torch.tensor(entry.places)
        labels = images.labels[_index(places, images.places)]
        return Maps(rows, entry.channels_last, labels, places)

    def _entry(self, split: str, view: int | None) -> Entry:
        loader = self.loader
        of = of_maps(self.model, loader, split, view, self._network, self._arithmetic)
        try:
            found = self.store.find(of)
            if found is not None:
                if left_out := len(loader.dataset.split(split)) - len(found.places):
                    # Their names were told as the maps were computed.
                    files = plural(left_out, "unreadable image file")
                    log.warning("Skipped %s of %s", files, split)
                return found
            with self.store.alone(self._wait, self.stop):
                # Whoever was waited for may have made it.
                return self.store.find(of) or self._compute(of, split, view)
        except OSError as error:
            where = from_here(error.filename or self.store.folder)
            raise CannotKeep(f"{where} cannot be written: {error.strerror}") from error

    def _wait(self) -> None:
        log.info("another run is computing frozen features: waiting until it has them")

    def _compute(self, of: dict[str, Any], split: str, view: int | None) -> Entry:
        begun, loader = self.clock(), self.loader
        images = len(loader.dataset.split(split))
        self._check_limit()
        self.store.make_room(images * self._sample.nbytes)
        name = split if view is None else f"{split}, view {view + 1} of {loader.settings.views}"

        def write(writer: Writer) -> Layout:
            batches = loader.evaluation(split) if view is None else loader.view(view)
            total, title = -(-images // loader.settings.eval_batch_size), f"features of {name}"
            shape: tuple[int, ...] = ()
            hidden = None if self.bar is None else not self.bar
            with evaluating(self.model), torch.no_grad(), self.precision.autocast():
                for some, _ in tqdm(batches, title, total, leave=False, disable=hidden):
                    rows = _rows(self.model.lower(some).cpu())
                    shape = tuple(rows.shape[1:])
                    # Flat first: of a 1×1 map torch calls any strides contiguous.
                    writer.write(rows.reshape(-1).view(torch.uint8).numpy().data)
            places = batches.places.tolist()
            sample, number = self._sample, str(self._sample.dtype).removeprefix("torch.")
            return Layout((len(places), *shape), number, _is_last(sample), places)

        entry = self.store.keep(of, write)
        self.seconds += self.clock() - begun
        return entry

    def _check_limit(self) -> None:
        """All that a run needs has to fit, or one split would push out the other."""
        dataset = self.loader.dataset
        views = self.views or 0
        images = len(dataset.train) * (1 + views) + len(dataset.val) + len(dataset.test or ())
        needed = images * self._sample.nbytes
        if needed > self.store.limit:
            raise CannotKeep(
                f"they are {needed / GIB:.1f} GiB, more than trainer.cache_gib="
                f"{self.store.limit / GIB:g}"
            )

    @cached_property
    def _sample(self) -> Tensor:
        """The map of one black image, for its size, layout and number format."""
        loader = self.loader
        images = torch.zeros(1, 3, *loader.input_size, device=loader.device)
        if loader.settings.channels_last:
            images = images.to(memory_format=torch.channels_last)
        with evaluating(self.model), torch.no_grad(), self.precision.autocast():
            return self.model.lower(images)


def _rows(maps: Tensor) -> Tensor:
    """Maps [n, C, H, W] in the order in which they lie in memory."""
    return maps.permute(0, 2, 3, 1) if _is_last(maps) else maps


def _is_last(maps: Tensor) -> bool:
    return maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()


def _index(places: Tensor, among: Tensor) -> Tensor:
    """Where each of `places` stands `among` others that hold it, both int64."""
    order = among.argsort()
    return order[torch.searchsorted(among[order], places)]
