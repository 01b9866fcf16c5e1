"""How rank 0 has the other processes of a run begin with it."""

from __future__ import annotations

from typing import Protocol

import torch
from omegaconf import DictConfig, OmegaConf

from gapfc.data.dataset import Dataset
from gapfc.data.loader import Loader
from gapfc.data.shared_images import SharedImages
from gapfc.engine.device import Precision
from gapfc.engine.training import Training
from gapfc.features.feed import Feed
from gapfc.model.classifier import Classifier
from gapfc.ranks import team
from gapfc.ranks.ranks import Ranks


class Shared(Protocol):
    """What an `Experiment` is to this."""

    command: str
    device: torch.device
    precision: Precision
    config: DictConfig
    dataset: Dataset
    loader: Loader
    feed: Feed
    model: Classifier
    training: Training
    ranks: Ranks
    team_ranks: Ranks


def call_others(experiment: Shared) -> None:
    """Have them build the same experiment, and bring it to where this one is.

    From here on `experiment.ranks` are all of them. Nothing where this process is alone.
    """
    found = team.current()
    if found is None or experiment.team_ranks.size == 1:
        return
    have_ready(experiment)
    config = experiment.config.copy()
    # What `auto` may mean elsewhere: free memory, other processors.
    config.dataset.residency = experiment.loader.residency
    config.trainer.device = experiment.device.type
    config.trainer.precision = experiment.precision.name
    images = SharedImages()
    try:
        images.put(experiment.loader.kept())
        found.order(
            command=experiment.command,
            config=OmegaConf.to_yaml(config, resolve=True),
            images=images.files,
        )
        experiment.ranks = experiment.team_ranks
        experiment.ranks.told(experiment.training.state_dict())
        experiment.ranks.meet()  # each has built its own, and read the images
    finally:
        images.remove()


def have_ready(experiment: Shared) -> None:
    """Read and compute now what each rank does by itself: later, others would wait for it."""
    for split in ("train", "val", "test"):
        if getattr(experiment.dataset, split) is not None:
            experiment.feed.evaluation(split, experiment.model)
