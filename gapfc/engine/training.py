"""Everything that changes while a model trains, and so everything a checkpoint holds."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gapfc.engine.schedule import Schedule
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
        best_epoch, best_accuracy, best_loss: of the best validation so far; 0 and None before.
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


@dataclass
class Training:
    """A model in training: `state_dict` and `load_state_dict` make it continue exactly."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler
    ema: AveragedModel | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def evaluated(self) -> nn.Module:
        """The model that counts: the averaged one where there is one."""
        return self.model if self.ema is None else self.ema.module

    def state_dict(self) -> dict[str, Any]:
        """All of it, and the random states."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
            "random": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken.

        Raises:
            UserError: if `state` belongs to another model or another way of training.
        """
        try:
            self.model.load_state_dict(state["model"])
            if (self.ema is None) != (state["ema"] is None):
                raise ValueError("trainer.ema was switched on or off since")
            if self.ema is not None:
                self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.scaler.load_state_dict(state["scaler"])
            self.progress = Progress(**state["progress"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"The checkpoint does not belong to this run: {error}") from error
        torch.set_rng_state(state["random"]["cpu"])
        if state["random"]["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["random"]["cuda"])


def averaged(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """An exponential moving average of `model`'s weights (Polyak & Juditsky 1992), or None.

    Batch-norm statistics are the model's own, as of the last step.
    """
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
