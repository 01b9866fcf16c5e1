"""Batches of a data set for the tests of gapfc.data, and what they do to pixels."""

import torch
from omegaconf import DictConfig
from torch import Tensor

from gapfc.data.batches import EvaluationBatches, TrainingBatches
from gapfc.data.dataset import Dataset
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.data.sizes import Size


def loader(dataset: Dataset, config: DictConfig, device: str = "cpu") -> Loader:
    """As a run with the whole `config` reads `dataset`."""
    return Loader(dataset, LoaderSettings.of(config), torch.device(device))


def training(dataset: Dataset, config: DictConfig, device: str = "cpu") -> TrainingBatches:
    """The training batches of a loader of their own."""
    return loader(dataset, config, device).training()


def evaluation(
    dataset: Dataset, split: str, config: DictConfig, device: str = "cpu", size: Size | None = None
) -> EvaluationBatches:
    """The batches of a split, of a loader of their own."""
    return loader(dataset, config, device).evaluation(split, size)


def denormalize(images: Tensor, dataset: Dataset) -> Tensor:
    """float32 [B, 3, h, w] as the network gets them -> uint8 [B, 3, h, w]."""
    mean = torch.tensor(dataset.mean).view(1, 3, 1, 1)
    std = torch.tensor(dataset.std).view(1, 3, 1, 1)
    return ((images * std + mean) * 255).round().to(torch.uint8)
