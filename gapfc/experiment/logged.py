"""What TensorBoard shows of a run beside its curves: settings, results and pictures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from omegaconf import OmegaConf
from torch import Tensor

from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.experiment.scores import SPLITS, Scores
from gapfc.measure.activation_map import class_activation_map
from gapfc.measure.meter import Each, Measures
from gapfc.settings.nodes import plain
from gapfc.tensorboard.activation_maps import Example, activation_picture
from gapfc.tensorboard.confusion_matrix import confusion_picture
from gapfc.tensorboard.events import TensorBoardLog
from gapfc.tensorboard.hparams import final_scalars
from gapfc.tensorboard.images import grid
from gapfc.tensorboard.text import command_line, fenced, results_table

PICTURED = 4  # images of each kind: right, and wrong
LOOKED_AT = 2000  # images among which they are chosen, so that few are read a second time


def begin_log(tensorboard: TensorBoardLog, asked: Invocation, experiment: Experiment) -> None:
    """Write the row of HPARAMS, the command and config of TEXT, and some training images."""
    tensorboard.hparams(plain(experiment.config), experiment.group, experiment.columns())
    tensorboard.text("command", fenced(command_line(asked.words), "sh"))
    config = OmegaConf.to_yaml(experiment.config, resolve=True)
    tensorboard.text("config", fenced(config, "yaml"))
    tensorboard.image("visual/training images", grid(experiment.batches.preview(16)), 0)


def log_results(
    tensorboard: TensorBoardLog,
    experiment: Experiment,
    scores: Scores,
    results: Mapping[str, Any],
) -> None:
    """Write final/* scalars, the table of TEXT, the confusion matrix and activation maps."""
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
    tensorboard.scalars(scalars | final_scalars(results), step)
    tensorboard.text("results", results_table(results), step)
    split = "val" if scores["test"] is None else "test"
    measures = cast(Measures, scores[split])
    confusion = confusion_picture(measures["confusion"], experiment.dataset.classes)
    tensorboard.image(f"visual/confusion matrix ({split})", confusion, step)
    maps = activation_picture(_examples(experiment, split, measures["each"]))
    tensorboard.image(f"visual/class activation maps ({split})", maps, step)
    tensorboard.flush()


def _examples(experiment: Experiment, split: str, each: Each) -> list[Example]:
    """Images that were seen right, then images that were seen wrong, of several classes each."""
    label, prediction = each.label[:LOOKED_AT], each.prediction[:LOOKED_AT]
    right = prediction == label
    wrong = ~right & (prediction >= 0)
    chosen = [i for which in (right, wrong) for i in _of_several_classes(label, which)]
    model, dataset = experiment.model, experiment.dataset
    mean, std = (torch.tensor(values)[:, None, None] for values in (dataset.mean, dataset.std))
    found = {}
    for number, image in _images(experiment, split, chosen):
        seen = prediction[number][None].to(image.device)
        activation = class_activation_map(model.backbone, model.head, image[None], seen)
        found[number] = Example(
            image=(image.float().cpu() * std + mean).clamp(0, 1),
            activation=activation[0].cpu(),
            label=str(dataset.classes[int(label[number])]),
            prediction=str(dataset.classes[int(seen)]),
            probability=float(each.p_prediction[number]),
        )
    return [found[number] for number in chosen]


def _images(
    experiment: Experiment, split: str, chosen: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """Normalised images [3, h, w] with their numbers in the order of evaluation."""
    if not chosen:
        return
    places = experiment.places[split][torch.tensor(chosen)]
    images = experiment.dataset.split(split)
    index = torch.isin(images.places, places).nonzero()[:, 0]
    numbers = dict(zip(places.tolist(), chosen, strict=True))
    batches = experiment.loader.taking(split, index).evaluation(split)
    for some, _ in batches:
        for image, place in zip(some, batches.places[-len(some) :].tolist(), strict=True):
            yield numbers[place], image


def _of_several_classes(labels: Tensor, which: Tensor) -> list[int]:
    """Up to PICTURED of `which` (bool [N]): the first of each class, then the second, and so on."""
    seen: dict[int, int] = {}
    rounds = []
    for index in which.nonzero()[:, 0].tolist():
        label = int(labels[index])
        rounds.append((seen.get(label, 0), index))
        seen[label] = seen.get(label, 0) + 1
    return [index for _, index in sorted(rounds)[:PICTURED]]
