"""How to train: the keys of `trainer` that the engine owns, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from gapfc.engine.class_weights import BALANCED
from gapfc.engine.device import Precision
from gapfc.engine.length import planned_epochs
from gapfc.engine.mixing import Mixing
from gapfc.validators import flag, is_number, list_of, number, one_of, whole

# Validation images from which on `trainer.final_weights=auto` lets them choose the epoch.
ENOUGH = 300
ACCURACY, BALANCED_ACCURACY = "val_accuracy", "val_balanced_accuracy"


@dataclass(frozen=True)
class Settings:
    """How to train. Each field is the key of `trainer` of the same name, except seed and mixing.

    Attributes:
        epochs: passes over the training images, as `trainer.epochs` or, for `auto`, their number.
        final_weights: the epoch whose weights the run ends with: the best of validation, or last.
        precision: the number format, as `choose_precision` resolved `trainer.precision`.
        targets: validation accuracies in (0, 1] for which the time to reach them is reported.
        ema: decay of the moving average of the weights, or None for none.
        class_weights: null, `balanced` or a number for each class, as `class_weights` takes it.
        mixing: mixup and CutMix, of the node `augment`.
        chosen_by: the column of an epoch's row by which the best is chosen. val_accuracy, unless
            training makes up for uneven classes, be it by weights or by a balanced sampler:
            validation then must not count the frequent ones for more.

    Raises:
        UserError: if a setting is invalid.
    """

    epochs: int
    precision: Precision
    seed: int = 0
    accumulate: int = 1
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    class_weights: str | Sequence[float] | None = None
    ema: float | None = None
    early_stopping: int | None = None
    final_weights: Literal["best", "last"] = "best"
    mixing: Mixing = field(default_factory=Mixing)
    compile: bool = False
    deterministic: bool = True
    targets: Sequence[float] = ()
    progress: bool | Literal["auto"] = "auto"
    chosen_by: str = ACCURACY

    def __post_init__(self) -> None:
        whole("seed", self.seed, 0, 2**63 - 1, takes="a whole number from 0 to 2^63 - 1")
        whole("trainer.epochs", self.epochs, least=1)
        whole("trainer.accumulate", self.accumulate, least=1)
        if self.clip_norm is not None:
            takes = "a positive norm or null"
            number("trainer.clip_norm", self.clip_norm, above=0, takes=takes)
        number("trainer.label_smoothing", self.label_smoothing, least=0, below=1)
        if self.class_weights is not None and self.class_weights != BALANCED:
            list_of(
                "trainer.class_weights",
                self.class_weights,
                lambda weight: is_number(weight) and weight > 0,
                "balanced, a list of a number above 0 for each class, or null",
            )
        if self.ema is not None:
            takes = "a decay between 0 and 1, such as 0.999, or null"
            number("trainer.ema", self.ema, above=0, below=1, takes=takes)
        if self.early_stopping is not None:
            takes = "1 epoch or more, or null"
            whole("trainer.early_stopping", self.early_stopping, least=1, takes=takes)
        one_of("trainer.final_weights", self.final_weights, ("best", "last"))
        flag("trainer.compile", self.compile)
        flag("trainer.deterministic", self.deterministic)
        list_of(
            "trainer.targets",
            self.targets,
            lambda target: is_number(target) and 0 < target <= 1,
            "accuracies above 0, at most 1, such as [0.5, 0.9]",
            empty=True,
        )
        one_of("trainer.progress", self.progress, ("auto", True, False))

    @classmethod
    def of(
        cls, config: Mapping[str, Any], precision: Precision, train_images: int, val_images: int
    ) -> "Settings":
        """The settings in the whole config of a command, as plain containers.

        train_images, val_images: how many there are, by which `auto` is resolved.
        """
        augment, trainer = config["augment"], config["trainer"]
        own = {f.name for f in fields(cls)} - {"precision", "chosen_by"}
        given = {key: value for key, value in trainer.items() if key in own}
        given["epochs"] = planned_epochs(config, train_images)
        if given.get("final_weights") == "auto":
            given["final_weights"] = "best" if val_images >= ENOUGH else "last"
        sampler = config.get("dataset", {}).get("sampler")
        evened = trainer.get("class_weights") is not None or sampler == BALANCED
        return cls(
            precision=precision,
            seed=config["seed"],
            mixing=Mixing(augment["mixup"], augment["cutmix"]),
            **given,
            chosen_by=BALANCED_ACCURACY if evened else ACCURACY,
        )
