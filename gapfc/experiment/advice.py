"""What the header of a run says of its settings: what `auto` became, and what would do better."""

from collections.abc import Mapping
from typing import Any

from gapfc.engine.modes import has_modes
from gapfc.engine.schedule import Constant
from gapfc.experiment.experiment import Experiment
from gapfc.settings.nodes import plain
from gapfc.settings.shipped import shipped


def advice(experiment: Experiment) -> list[str]:
    """Lines for the header of a run, each as wide as a terminal or less."""
    config, settings = plain(experiment.config), experiment.settings
    lines = []
    if config["trainer"]["epochs"] == "auto" and experiment.takes_epochs:
        images = f"{len(experiment.dataset.train):,} training images"
        lines.append(f"  epochs    {settings.epochs}, for {images} (trainer.epochs=auto)")
    if config["trainer"].get("final_weights") == "auto":
        images = f"{len(experiment.dataset.val):,} validation images"
        lines.append(f"  weights   of the {settings.final_weights} epoch, for {images}")
    lines += _of_recipes(config)
    views = config["augment"].get("views")
    if views is not None and not experiment.loader.augmentation.operations:
        lines.append(f"  advice    augment.views={views} does nothing: augment draws nothing")
    optimizer, schedule = experiment.training.optimizer, experiment.training.schedule
    if has_modes(optimizer) and not isinstance(schedule, Constant):
        lines.append(
            f"  advice    {type(optimizer).__name__} needs no falling rate: schedule=constant"
        )
    return lines


def _of_recipes(config: Mapping[str, Any]) -> list[str]:
    backbone, usual = config["backbone"], config["optimizer"].get("name") == "adamw"
    lines = []
    if config.get("recipe"):
        if _is_random(backbone):
            lines.append("  advice    a recipe is for pretrained features, and these are random:")
            more = "" if "weights" in backbone else "backbone=resnet18 "
            lines.append(f"            {more}backbone.weights=DEFAULT, or a file")
        if not usual:
            lines.append("  advice    the rates of a recipe are for optimizer=adamw")
    elif (recipe := better_recipe(config)) is not None:
        more = "" if usual else " optimizer=adamw"
        lines.append("  advice    pretrained, at the rate of training from scratch:")
        lines.append(f"            recipe={recipe}{more}")
    return lines


def _is_random(backbone: Mapping[str, Any]) -> bool:
    """Whether a backbone begins with random weights, as far as its settings say."""
    if "weights" not in backbone:
        return str(backbone.get("_target_", "")).startswith("gapfc.")
    return backbone["weights"] is None


def better_recipe(config: Mapping[str, Any]) -> str | None:
    """The recipe for a pretrained backbone that is trained as one from scratch; else None.

    config: of a run, as plain containers. It is so if optimizer.lr is the optimizer's usual one,
    the head learns no faster, and no recipe was taken. `gapfc transfer` has protocols instead.
    """
    backbone, optimizer = config["backbone"], config["optimizer"]
    as_from_scratch = (
        backbone.get("weights") is not None
        and config.get("recipe") is None
        and "protocol" not in config
        and config["head"].get("lr_multiplier", 1.0) == 1
        and optimizer.get("lr") == shipped("optimizer", optimizer).get("lr")
    )
    if not as_from_scratch:
        return None
    return "frozen" if backbone.get("trainable") == "none" else "finetune"
