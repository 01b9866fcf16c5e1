"""What the terminal shows at the start and at the end of a run."""

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from gapfc.experiment.advice import advice
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.facts import facts
from gapfc.experiment.results import parameter_counts
from gapfc.experiment.sharing import say_who_shares
from gapfc.experiment.uneven import say_what_is_balanced
from gapfc.formatting import from_here, plural, times, wrapped
from gapfc.measure.wilson import wilson
from gapfc.records.identity import GROUPED_BY
from gapfc.records.next_commands import next_commands
from gapfc.records.uneven import CLASS_SIZES, has_uneven_classes
from gapfc.settings.compose import config_dirs

log = logging.getLogger(__name__)

FEW = 300  # test images, of which an accuracy is known to some three points either way at best


def beginning(experiment: Experiment, folder: Path) -> None:
    """Log what is about to be trained, on what, and where it will be saved."""
    config, dataset, progress = experiment.config, experiment.dataset, experiment.training.progress
    parameters = parameter_counts(experiment)
    frozen = parameters["total"] - parameters["trainable"]
    counts = ", ".join(
        f"{len(images):,} {name}"
        for name in ("train", "val", "test")
        if (images := getattr(dataset, name)) is not None
    )
    size = times(experiment.input_size)
    log.info(
        "%s · %s · %s · seed %d",
        config.dataset.name,
        config.backbone.name,
        config.head.name,
        config.seed,
    )
    log.info("  images    %s, %s classes, %s", counts, f"{dataset.num_classes:,}", size)
    for name, text in facts(dataset, experiment.settings.final_weights):
        log.info("%s", wrapped(f"  {name:<9} {text}", 80, hang=" " * 10))
    log.info(
        "  model     %s parameters: backbone %s, head %s%s",
        f"{parameters['total']:,}",
        f"{parameters['backbone']:,}",
        f"{parameters['head']:,}",
        f"; {frozen:,} frozen" if frozen else "",
    )
    log.info("  features  %s", times(experiment.feature_map))
    if experiment.feed.said is not None:
        log.info("  frozen    %s", experiment.feed.said)
    if experiment.model.match is not None:
        log.info("  matched   %s", experiment.model.match)
    log.info(
        "  computes  on %s in %s (%s)",
        experiment.device.type,
        experiment.precision.name,
        experiment.precision.reason,
    )
    say_who_shares(experiment)
    say_what_is_balanced(experiment)
    for line in advice(experiment):
        log.info("%s", line)
    log.info("  run       %s", from_here(folder))
    if progress.step:
        log.info("  resumes   after %s, at step %d", plural(progress.epoch, "epoch"), progress.step)


def measuring(experiment: Experiment) -> None:
    """Log that training is over: what follows may take as long as an epoch."""
    epoch = experiment.weights_epoch
    log.info("measuring the weights of epoch %d on all images, without augmentation", epoch)


def ending(results: Mapping[str, Any], folder: Path) -> None:
    """Log the outcome: the scores, where the run is, and what to type next."""
    where = from_here(folder)
    if results["status"] == "failed":
        log.error("failed: %s\n  run       %s", results["error"], where)
        return
    if results["status"] == "interrupted":
        done = plural(results["epochs"], "epoch")
        told = f"{results['error']} after {done}, at step {results['steps']}"
        if _in_a_sweep():  # which says how to go on with all of it
            log.warning("%s", told)
            return
        log.warning("%s. To go on:\n  %s", told, resuming(results["command"], folder))
        return
    log.info("")
    # Only where it says something else than accuracy.
    uneven = any(has_uneven_classes(results[split]) for split in ("train", "val", "test"))
    keys = {"accuracy": "accuracy"} | ({"balanced_accuracy": "balanced"} if uneven else {})
    keys |= {"nll": "NLL", "ece": "ECE", "brier": "Brier"}
    log.info("  %-12s%s", "", "".join(f" {title:>9}" for title in keys.values()))
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        rows = {name: results[split]}
        for size, at_size in (results.get(f"{split}_at_size") or {}).items():
            rows[f"  at {size.replace('x', '×')}"] = at_size
        for row, scores in rows.items():
            if not scores:
                continue
            log.info("  %-12s%s", row, "".join(f" {_told(scores, key):>9}" for key in keys))
    tested = sum((results["test"] or {}).get(CLASS_SIZES) or ())
    if 0 < tested < FEW:
        low, high = (f"{100 * end:.1f}" for end in wilson(results["test"]["accuracy"], tested))
        images = plural(tested, "test image")
        log.info("  %s: 95%% interval of the accuracy %s to %s%%", images, low, high)
    log.info("")
    judged = results["weights_epoch"]
    log.info(
        "  %s epoch %s of %d, %s of training at %.0f images/s",
        "best" if judged == results["best_epoch"] else "last",
        judged,
        results["epochs"],
        f"{results['train_seconds']:.1f} s",
        results["images_per_second"],
    )
    log.info("  run          %s", where)
    if not _in_a_sweep():  # which says it once, at its end
        for line in next_commands(_root(folder), results["command"]).split("\n"):
            log.info("%s", line)


def resuming(command: str, folder: Path) -> str:
    """What to type to go on with an interrupted run."""
    return f"gapfc {command}{_config_dir()} resume={shlex.quote(from_here(folder))}"


def _root(folder: Path) -> Path:
    """The output_root of a run's folder; what it is in if it was moved elsewhere."""
    in_place = len(folder.parts) > 5 and folder.parents[3].name in GROUPED_BY
    return folder.parents[4] if in_place else folder.parent


def _in_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def _config_dir() -> str:
    """` --config-dir …` as it was given: a run of the user's own classes is resumed with it."""
    given = config_dirs()
    return f" --config-dir {shlex.quote(from_here(given[0]))}" if given else ""


def _told(scores: Mapping[str, Any], key: str) -> str:
    value = scores[key]
    if value is None:
        return "-"
    return f"{value:.2%}" if key.endswith("accuracy") else f"{value:.4f}"
