"""What a run's steps gave, read from the device now and then."""

from dataclasses import dataclass
from math import isfinite, nan

import torch
from torch import Tensor

from gapfc.engine.training import Progress


class Diverged(Exception):
    """The loss is not a finite number any more."""


@dataclass(frozen=True)
class StepOutput:
    """Of one batch: its mean loss (a scalar), predicted and wanted classes `[B]`, on the device."""

    loss: Tensor
    predicted: Tensor
    wanted: Tensor


class Losses:
    """The outcomes since they were last read.

    Reading waits for a GPU, and on a CPU it costs a small network half a per cent of its time at
    every step: so it is done for many steps at once.
    """

    def __init__(self) -> None:
        self._outcomes: list[tuple[StepOutput, int, float]] = []
        self.last: float = nan

    def add(self, outcome: StepOutput, step: int, rate: float) -> None:
        """Keep what a batch gave at optimiser step `step` and learning rate `rate`."""
        self._outcomes.append((outcome, step, rate))

    def read(self, progress: Progress) -> None:
        """Add what has gathered to the epoch's sums.

        Raises:
            Diverged: where a loss is not finite.
        """
        if not self._outcomes:
            return
        losses = torch.stack([outcome.loss for outcome, _, _ in self._outcomes]).tolist()
        for loss, (outcome, step, rate) in zip(losses, self._outcomes, strict=True):
            if not isfinite(loss):
                raise Diverged(self._message(loss, step, rate, progress.epoch))
            self.last = loss
            images = len(outcome.wanted)
            progress.add("loss", loss * images, images)
        predicted = torch.cat([outcome.predicted for outcome, _, _ in self._outcomes])
        wanted = torch.cat([outcome.wanted for outcome, _, _ in self._outcomes])
        progress.add("accuracy", int((predicted == wanted).sum()), len(wanted))
        self._outcomes.clear()

    def _message(self, loss: float, step: int, rate: float, epoch: int) -> str:
        before = (
            f"the last finite one was {self.last:.4g}"
            if isfinite(self.last)
            else "no loss before it was finite"
        )
        return (
            f"The loss became {loss} at step {step} (epoch {epoch + 1}) at learning rate "
            f"{rate:.4g}; {before}. "
            "Try a smaller optimizer.lr, a longer schedule.warmup_epochs or trainer.clip_norm=1."
        )
