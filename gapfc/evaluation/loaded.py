"""A trained model, loaded with the images that it was made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig

from gapfc.data.dataset import Dataset
from gapfc.data.dataset import load as load_dataset
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.data.sizes import Size
from gapfc.engine.device import (
    Precision,
    choose_device,
    choose_precision,
    flush_subnormals,
    set_determinism,
)
from gapfc.errors import UserError
from gapfc.model.classifier import Classifier
from gapfc.records.run import Run
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched
from gapfc.trained.network import admitted, check_complete, fill, read_best, untrained
from gapfc.transfer.classes import extended
from gapfc.validators import is_text


@dataclass(frozen=True)
class Loaded:
    """A run's network with the weights that validation chose, and the images it was made for.

    Attributes:
        config: of the run, admitted.
        model: in evaluation mode, on `device`.
        input_size: (h, w) of the images that it was trained on.
    """

    run: Run
    config: DictConfig
    model: Classifier
    dataset: Dataset
    loader: Loader
    input_size: Size
    precision: Precision
    device: torch.device

    def untrained(self) -> Classifier:
        """The same network with the random weights of its seed, on `device`."""
        classes = self.dataset.num_classes
        return untrained(self.run, self.config, classes, self.input_size).to(self.device)


class DataSets:
    """Keeps the data set read last: runs of it that follow each other read it once."""

    def __init__(self) -> None:
        self._key: str | None = None
        self._dataset: Dataset | None = None

    def of(self, config: DictConfig) -> Dataset:
        """The images that `config` describes. Raises UserError if they are not there."""
        key = data_key(plain(config))
        if self._dataset is None or key != self._key:
            self._dataset = None  # before the next is read: there may be no room for both
            self._dataset, self._key = load_dataset(config.dataset, config.data_root), key
        return self._dataset


def data_key(config: Mapping[str, Any]) -> str:
    """What runs on the same images share. config: as plain containers."""
    return repr((config.get("data_root"), config.get("dataset")))


def load(
    run: Run,
    vouched: Vouched,
    changes: Mapping[str, Any] | None = None,
    data: DataSets | None = None,
    check: Callable[[], None] = lambda: None,
) -> Loaded:
    """The model and the images of `run`, from its config and its best.pt alone.

    Args:
        run: of `gapfc train` or `transfer`, completed.
        vouched: what its config may name beyond gapfc's own classes.
        changes: settings by dotted key that this machine wants otherwise, such as data_root.
        data: where the data set may have been read already.
        check: called between batches, and may raise to stop there.

    Raises:
        UserError: if it is not complete, its weights, config or images are missing or damaged, or
            do not belong together.
    """
    check_complete(run)
    config = admitted(run, vouched, changes)
    best = read_best(run)
    flush_subnormals()  # as in training
    device = choose_device(config.trainer.device)
    precision = choose_precision(config.trainer.precision, device)
    if device.type == "cuda":  # on the CPU what is measured is the same each time anyway
        set_determinism(config.trainer.deterministic)
    dataset = (data or DataSets()).of(config)
    if config.get("keep_classes"):
        dataset = extended(dataset, _kept_classes(run))
    loader = Loader(dataset, LoaderSettings.of(config), device, check)
    size = loader.input_size
    model = untrained(run, config, dataset.num_classes, size)
    fill(model, run, best)
    layout = torch.channels_last if config.trainer.channels_last else torch.contiguous_format
    model.to(device).to(memory_format=layout)
    return Loaded(run, config, model, dataset, loader, size, precision, device)


def _kept_classes(run: Run) -> tuple[str, ...]:
    """All classes of a transfer that kept the source's, in the order of its head's rows."""
    transfer = run.results.get("transfer")
    classes = transfer.get("classes") if isinstance(transfer, Mapping) else None
    if not isinstance(classes, list) or not all(map(is_text, classes)):
        raise UserError("its results.json does not say which classes its head has")
    return tuple(classes)
