"""results.json of a run, however far it came."""

from collections.abc import Mapping
from typing import Any

import torch

from gapfc.engine.device import peak_memory
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.measure.complexity import count_parameters
from gapfc.measure.convergence import convergence
from gapfc.records.identity import group_hash
from gapfc.records.results import Status, build_results
from gapfc.settings.nodes import plain


def results_of(
    asked: Invocation,
    status: Status,
    error: str | None = None,
    experiment: Experiment | None = None,
    found: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of results.json, schema 1.

    Args:
        asked: what the run is of.
        status: how it ended.
        error: why it did not complete.
        experiment: None if it could not be built.
        found: fields that only a completed run has: its scores, and what its command adds.
    """
    config = asked.config
    fields: dict[str, Any] = {
        "status": status,
        "error": error,
        "command": asked.command,
        "seed": config.seed,
        "group": experiment.group if experiment else group_hash(plain(config)),
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "head": config.head.name,
        "git": asked.git,
        "overrides": asked.overrides,
    }
    if experiment is not None:
        fields |= _model(experiment) | _training(experiment)
    return build_results(**fields, **(found or {}))


def parameter_counts(experiment: Experiment) -> dict[str, int]:
    """Parameters of backbone, head and both, those that are trained, and what was asked for."""
    model = experiment.model
    counts = {name: count_parameters(child)[0] for name, child in model.named_children()}
    total, trainable = count_parameters(model)
    if model.match is not None:
        counts["head_target"] = model.match.target
    return {**counts, "total": total, "trainable": trainable}


def _model(experiment: Experiment) -> dict[str, Any]:
    """What is known before training."""
    return {
        "device": str(experiment.device.type),
        "precision": experiment.precision.name,
        # The number of threads decides how sums are rounded.
        "threads": torch.get_num_threads(),
        "cores": len(experiment.cores),
        "world_size": experiment.team_ranks.size,
        "torch": torch.__version__,
        "parameters": parameter_counts(experiment),
        "macs": experiment.macs,
        "feature_map": list(experiment.feature_map),
        "input": [3, *experiment.input_size],
        **experiment.loader.inputs.as_record(),
    }


def _training(experiment: Experiment) -> dict[str, Any]:
    """What training has given so far."""
    progress = experiment.training.progress
    history = progress.history
    steps, seconds, accuracies = (
        [row[key] for row in history] for key in ("step", "seconds", "val_accuracy")
    )
    targets = experiment.settings.targets
    return {
        "epochs": progress.epoch,
        "steps": progress.step,
        "train_seconds": progress.seconds,
        "images_per_second": progress.images / progress.seconds if progress.seconds else None,
        "peak_memory_bytes": peak_memory(experiment.device),
        "best_epoch": progress.best_epoch or None,
        "frozen_features": _frozen(experiment),
        "weights_epoch": experiment.weights_epoch or None,
        "convergence": convergence(steps, seconds, accuracies, targets) if history else None,
    }


def _frozen(experiment: Experiment) -> dict[str, Any] | None:
    """Seconds that went into features of a frozen part, which are not among those of training."""
    feed = experiment.feed
    return None if feed.seconds is None else {"seconds": feed.seconds, "views": feed.views}
