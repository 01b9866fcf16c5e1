"""What a run found: its final weights on every split, as numbers and pictures."""

from collections.abc import Mapping
from typing import Any, cast

import torch

from gapfc.engine.evaluate import evaluate
from gapfc.experiment.experiment import Experiment
from gapfc.measure.activation_map import class_activation_map
from gapfc.measure.meter import Measures
from gapfc.records.predictions import Predictions
from gapfc.tensorboard.confusion_matrix import confusion_picture
from gapfc.tensorboard.events import TensorBoardLog
from gapfc.tensorboard.images import grid, overlay

SPLITS = ("train", "val", "test")
PICTURED_IMAGES = 8

Scores = Mapping[str, Measures | None]


def measure(experiment: Experiment) -> tuple[dict[str, Measures | None], Predictions | None]:
    """Every split under the model as it is, without augmentation; the test set only here.

    Also what was said of each test image; None without a test split.
    """
    scores = {split: experiment.evaluate(split) for split in ("train", "val")}
    if experiment.dataset.test is None:
        return {**scores, "test": None}, None
    batches, classes = experiment.loader.evaluation("test"), experiment.dataset.num_classes
    test = evaluate(experiment.model, batches, classes, experiment.precision)
    said = {name: values.numpy() for name, values in test["each"]._asdict().items()}
    return {**scores, "test": test}, Predictions(index=batches.places.numpy(), **said)


def fields(experiment: Experiment, scores: Scores) -> dict[str, Any]:
    """The fields of results.json that `scores` give, and the scores at `dataset.eval_sizes`.

    These are of the test images, `test_at_size`; where there are none of validation's,
    `val_at_size`.
    """
    found: dict[str, Any] = {split: _numbers(scores[split]) for split in SPLITS}
    train, held_out = scores["train"], scores["test"] or scores["val"]
    if train is not None and held_out is not None:
        found["generalization_gap"] = {
            "accuracy": train["accuracy"] - held_out["accuracy"],
            "nll": held_out["nll"] - train["nll"],
        }
    sizes = experiment.loader.settings.eval_sizes
    if sizes:
        split = "test" if scores["test"] is not None else "val"
        found[f"{split}_at_size"] = {
            f"{height}x{width}": _numbers(experiment.evaluate(split, size=(height, width)))
            for height, width in sizes
        }
    return found


def log_scores(
    tensorboard: TensorBoardLog,
    experiment: Experiment,
    scores: Scores,
    results: Mapping[str, Any],
) -> None:
    """Write final/* scalars, the confusion matrix and class activation maps to TensorBoard."""
    step = results["steps"]
    scalars = {
        f"final/{split}_{name}": value
        for split in SPLITS
        for name, value in (results[split] or {}).items()
        if not isinstance(value, list)
    }
    scalars |= {
        f"final/{split}_accuracy_at_{size}": measures["accuracy"]
        for split in SPLITS
        for size, measures in (results.get(f"{split}_at_size") or {}).items()
    }
    gap = results["generalization_gap"] or {}
    scalars |= {f"final/gap_{name}": value for name, value in gap.items()}
    scalars["final/parameters"] = results["parameters"]["total"]
    scalars["final/macs"] = results["macs"]["total"]
    scalars["final/train_seconds"] = results["train_seconds"]
    tensorboard.scalars(scalars, step)
    split = "val" if scores["test"] is None else "test"
    confusion = cast(Measures, scores[split])["confusion"]
    tensorboard.image(
        f"confusion matrix ({split})",
        confusion_picture(confusion, experiment.dataset.classes),
        step,
    )
    tensorboard.image(f"class activation maps ({split})", _activation_maps(experiment, split), step)
    tensorboard.flush()


def _activation_maps(experiment: Experiment, split: str) -> torch.Tensor:
    """The first images of `split` and, below each, the map of the class the model saw in it."""
    batches = experiment.loader.evaluation(split)
    images = next(iter(batches))[0][:PICTURED_IMAGES]
    model = experiment.model
    maps = class_activation_map(model.backbone, model.head, images)
    mean, std = (
        torch.tensor(values, device=images.device)[:, None, None]
        for values in (experiment.dataset.mean, experiment.dataset.std)
    )
    shown = (images * std + mean).clamp(0, 1)
    mapped = overlay(shown, maps).float() / 255
    return grid(torch.cat([shown.cpu(), mapped]), columns=len(images))


def _numbers(measures: Measures | None) -> dict[str, Any] | None:
    if measures is None:
        return None
    return {name: value for name, value in measures.items() if name not in ("confusion", "each")}
