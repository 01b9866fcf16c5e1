"""Everything that changes while a model trains, and so everything a checkpoint holds."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gapfc.engine.modes import has_modes
from gapfc.engine.schedule import Schedule
from gapfc.engine.stored_state import (
    check_like,
    check_optimizer,
    check_progress,
    refuse_entry,
)
from gapfc.errors import UserError


@dataclass
class Progress:
    """How far a run has got, and what it has seen. All of it is plain numbers.

    Attributes:
        epoch: epochs completed, validation included.
        batch: batches done in the current epoch.
        step: optimiser steps.
        seconds: spent in training steps, without start-up and evaluation.
        images: trained on, repeats counted.
        best_epoch, best_accuracy, best_loss: of the best validation so far; 0 and None before. The
            accuracy is the balanced one where that chooses.
        history: one row of measurements per epoch.
        sums: of the current epoch, name -> (sum, count).
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    images: int = 0
    best_epoch: int = 0
    best_accuracy: float | None = None
    best_loss: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float, count: int = 1) -> None:
        """Add `count` values that sum to `value` to the epoch's mean of `name`."""
        entry = self.sums.setdefault(name, [0.0, 0])
        entry[0] += value
        entry[1] += count

    def mean(self, name: str) -> float | None:
        """Mean of `name` over the epoch so far, None if it was never added to."""
        total, count = self.sums.get(name, (0.0, 0))
        return total / count if count else None

    def judge(self, score: float, loss: float) -> bool:
        """Whether the epoch just completed is the best so far, which is then remembered.

        Of equal scores, the lower validation loss decides: a small validation set has many ties.
        """
        best = self.best_accuracy, self.best_loss
        if best[0] is not None and best[1] is not None and not (score, -loss) > (best[0], -best[1]):
            return False  # a loss that is not a number is never better
        self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, score, loss
        return True


@dataclass
class Training:
    """A model in training: `state_dict` and `load_state_dict` make it continue exactly.

    Raises:
        UserError: for a moving average of weights that the optimiser averages itself.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler
    ema: AveragedModel | None = None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        if self.ema is not None and has_modes(self.optimizer):
            raise UserError(
                f"trainer.ema: {type(self.optimizer).__name__} evaluates an average of its weights "
                "already. Set trainer.ema=null, or take another optimizer."
            )

    @property
    def evaluated(self) -> nn.Module:
        """The model that counts: the averaged one where there is one."""
        return self.model if self.ema is None else self.ema.module

    def state_dict(self) -> dict[str, Any]:
        """All of it. Random states are not part of it: `fit` sets them before each batch."""
        return {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
        }

    def load_state_dict(self, state: dict[str, Any], steps: int | None = None) -> None:
        """Continue where `state` was taken; all of it is checked before any is loaded.

        steps: batches in an epoch, of which `state` can't have done more.

        Raises:
            UserError: if `state` belongs to another model or another way of training.
        """
        ours = self.state_dict()
        for entry in ours:
            if entry not in state:
                refuse_entry(entry, "to be there", "nothing")
        if (ours["ema"] is None) != (state["ema"] is None):
            refuse_entry("ema", "to be there only with trainer.ema", state["ema"])
        enabled = self.scaler.is_enabled()
        for entry in ("model", "ema", "schedule", *(["scaler"] if enabled else [])):
            check_like(entry, state[entry], ours[entry])
        changing = check_optimizer(state["optimizer"], self.optimizer)
        check_progress(state["progress"], ours["progress"], steps)
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        # A stranger's settings in the groups are not taken over.
        groups = [
            {**group, **{name: stored[name] for name in changing}}
            for group, stored in zip(
                ours["optimizer"]["param_groups"], state["optimizer"]["param_groups"], strict=True
            )
        ]
        self.optimizer.load_state_dict(
            {"state": state["optimizer"]["state"], "param_groups": groups}
        )
        self.schedule.load_state_dict(state["schedule"])
        if enabled:
            self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])


def averaged(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """An exponential moving average of `model`'s weights (Polyak & Juditsky 1992), or None.

    Batch-norm statistics are the model's own, as of the last step.
    """
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
