"""What a run found: its final weights on every split, as numbers."""

from collections.abc import Mapping
from typing import Any

from gapfc.experiment.experiment import Experiment
from gapfc.measure.meter import Measures
from gapfc.records.predictions import Predictions

SPLITS = ("train", "val", "test")

Scores = Mapping[str, Measures | None]


def measure(experiment: Experiment) -> tuple[dict[str, Measures | None], Predictions | None]:
    """Every split under the model as it is, without augmentation; the test set only here.

    Also what was said of each test image; None without a test split.
    """
    scores = {split: experiment.evaluate(split) for split in SPLITS}
    test = scores["test"]
    if test is None:
        return scores, None
    said = {name: values.numpy() for name, values in test["each"]._asdict().items()}
    return scores, Predictions(index=experiment.places["test"].numpy(), **said)


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


def _numbers(measures: Measures | None) -> dict[str, Any] | None:
    if measures is None:
        return None
    return {name: value for name, value in measures.items() if name not in ("confusion", "each")}
