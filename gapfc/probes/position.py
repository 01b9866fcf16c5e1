"""Whether what a head makes of the feature map still tells where the object stood."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gapfc.data.sources.synthetic_shapes import QUADRANTS, quadrants
from gapfc.errors import UserError
from gapfc.measure.complexity import evaluating
from gapfc.measure.linear_probe import solve
from gapfc.model.classifier import Classifier
from gapfc.probes.boxes import boxed
from gapfc.probes.subject import Finding, Subject

SPLITS = ("train", "val")


def position(subject: Subject) -> Finding:
    """How often a linear readout names the quadrant that holds the centre of the object's box.

    From three things, each `….accuracy`:
    pooled: the vector that the head makes of the feature map (`head.pool`). The means of the
        channels for gap, of the classes' maps for nin; for fc, which pools nothing, the whole map.
    flat: the whole feature map.
    untrained: the pooled vector of the same network as it was before training.

    The readout is multinomial logistic regression on the training images, its penalty chosen by
    validation (see `gapfc.measure.linear_probe`). Chance is a quarter.

    Raises UserError where the data set does not say where its objects are, a quadrant was never
    shown in training, or the head has no `pool`.
    """
    places = {split: _places(subject, split) for split in (*SPLITS, subject.split)}
    unseen = set(places[subject.split].tolist()) - set(places["train"].tolist())
    if unseen:
        raise UserError(
            f"probe position learns from the training images where objects are, and none has one "
            f"in {QUADRANTS[min(unseen)]}: it needs dataset.holdout_quadrants=[]."
        )
    pooled, flat = _features(subject, subject.model)
    untrained, _ = _features(subject, subject.untrained())

    def right(features: dict[str, Tensor]) -> NDArray[np.bool_]:
        train, val = ((features[split], places[split].to(subject.device)) for split in SPLITS)
        found = solve(train, val, len(QUADRANTS))
        logits = functional.linear(features[subject.split], found.weight, found.bias)
        said: NDArray[np.bool_] = (logits.argmax(1).cpu() == places[subject.split])[None].numpy()
        return said

    yes = {"pooled.accuracy": right(pooled)}
    same = torch.equal(pooled["train"], flat["train"])  # fc's
    yes["flat.accuracy"] = yes["pooled.accuracy"] if same else right(flat)
    yes["untrained.accuracy"] = right(untrained)
    values = {name.partition(".")[0]: {"accuracy": float(y.mean())} for name, y in yes.items()}
    return Finding(values, yes)


def _places(subject: Subject, split: str) -> Tensor:
    boxes, size = boxed(subject, split, "position")
    return quadrants(boxes, size)


def _features(subject: Subject, model: Classifier) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What the head pools, and the whole maps, both float32 [N, D], by split."""
    head = cast(Any, model.head)
    if not hasattr(head, "pool"):
        raise UserError(
            f"probe position reads what the head pools, and {type(head).__name__} does not "
            "say it: give it a method pool(features), [B, C, H, W] to [B, width]."
        )
    pooled: dict[str, Tensor] = {}
    flat: dict[str, Tensor] = {}
    for split in dict.fromkeys((*SPLITS, subject.split)):
        parts = []
        # Not inference_mode: its tensors could not take part in the gradients of the readout.
        with evaluating(model), torch.no_grad(), subject.precision.autocast():
            for images, _ in subject.loader.evaluation(split):
                features = model.backbone(images)
                parts.append((head.pool(features).float(), features.flatten(1).float()))
        pooled[split], flat[split] = map(torch.cat, zip(*parts, strict=True))
    return pooled, flat
