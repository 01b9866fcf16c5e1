"""The linear probe of a target: the head's last layer, solved for on features that stay."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gapfc.engine.class_weights import BALANCED, class_weights
from gapfc.engine.stored_state import check_like
from gapfc.engine.training import averaged
from gapfc.errors import UserError
from gapfc.experiment.experiment import Experiment
from gapfc.measure.linear_probe import solve
from gapfc.transfer.features import last_inputs
from gapfc.transfer.weights import last_layer
from gapfc.validators import is_number

log = logging.getLogger(__name__)

PROBE = "probe.pt"


def solve_probe(experiment: Experiment) -> dict[str, bool | int | float | None]:
    """Solve for the last layer of the head of `experiment`, and put the solution there.

    Returns what results.json has of it, and probe.pt. Raises Interrupted.
    """
    begun = experiment.turns.clock()
    _, layer = last_layer(experiment.model.head)
    train, val = (
        last_inputs(
            *experiment.feed.evaluation(split, experiment.model), layer, experiment.precision
        )
        for split in ("train", "val")
    )
    computed = experiment.turns.clock()
    classes, check = experiment.dataset.num_classes, experiment.check
    weights = _class_weights(experiment)
    probe = solve(train, val, classes, layer.bias is not None, check, weights)
    with torch.no_grad():
        layer.weight.copy_(probe.weight.reshape(layer.weight.shape))
        if layer.bias is not None and probe.bias is not None:
            layer.bias.copy_(probe.bias)
    solved = experiment.turns.clock()
    facts = {
        **{k: v for k, v in asdict(probe).items() if k not in ("weight", "bias")},
        "features": train[0].shape[1],
        "images": len(train[1]),
        "seconds_features": computed - begun,
        "seconds_solving": solved - computed,
    }
    log.info(
        "probe: %d features of %d images in %.1f s, solved in %.1f s; validation accuracy "
        "%.2f%% at penalty %g",
        *(facts[key] for key in ("features", "images")),
        *(computed - begun, solved - computed, 100 * probe.val_accuracy, probe.penalty),
    )
    # Part of the budget: it is compared with training in seconds.
    experiment.training.progress.seconds += solved - begun
    experiment.training.progress.images += len(train[1])
    experiment.training.ema = averaged(experiment.model, experiment.settings.ema)
    return facts


def check_probe(path: Path, state: Mapping[str, Any], head: nn.Module) -> None:
    """UserError if `state`, read from `path`, is not a probe's solution for `head`."""
    try:
        check_like("model", state["model"], head.state_dict())
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    facts = state.get("probe")
    if not isinstance(facts, dict) or not all(
        isinstance(name, str) and is_number(value) for name, value in facts.items()
    ):
        raise UserError(f"{path} does not say how the probe was solved: it is damaged")


def _class_weights(experiment: Experiment) -> Tensor | None:
    """Of the classes: a probe has no epochs in which a sampler could even them out."""
    if experiment.loader.settings.sampler != BALANCED:
        return experiment.class_weights
    labels, classes = experiment.dataset.train.labels, experiment.dataset.classes
    even = class_weights(BALANCED, labels, classes)
    assert even is not None
    even = even.to(experiment.device)
    return even if experiment.class_weights is None else even * experiment.class_weights
