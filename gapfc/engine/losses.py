"""What a run's steps produced, read from the device now and then."""

from dataclasses import dataclass
from math import isfinite, nan

import torch
from torch import Tensor

from gapfc.engine.training import Progress
from gapfc.ranks.ranks import ALONE, Ranks


class Diverged(Exception):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class StepOutput:
    """Of one batch: its mean loss (a scalar), predicted and true classes `[B]`, on the device."""

    loss: Tensor
    predicted: Tensor
    labels: Tensor


class Losses:
    """The outputs since they were last read.

    Reading at every step would make a GPU wait, and cost a small network on a CPU half a per cent
    of its time, so it is done for many steps at once. Then, too, the ranks tell each other theirs.
    """

    def __init__(self, ranks: Ranks = ALONE) -> None:
        self._ranks = ranks
        self._outputs: list[tuple[StepOutput, int, float]] = []
        self.last: float = nan

    def add(self, output: StepOutput, step: int, rate: float) -> None:
        """Keep the output of a batch at optimiser step `step` and learning rate `rate`."""
        self._outputs.append((output, step, rate))

    def read(self, progress: Progress) -> None:
        """Add what has accumulated to the epoch's sums.

        Raises:
            Diverged: if a loss is not finite.
        """
        if not self._outputs:
            return
        outputs = [output for output, _, _ in self._outputs]
        own = torch.stack([output.loss for output in outputs]).double().cpu()
        counts = torch.tensor([len(output.labels) for output in outputs], dtype=torch.float64)
        predicted = torch.cat([output.predicted for output in outputs])
        labels = torch.cat([output.labels for output in outputs])
        right = (predicted == labels).sum().double().cpu()
        totals, images = self._ranks.sum(torch.stack([own * counts, counts]))
        for total, count, (_, step, rate) in zip(
            totals.tolist(), images.tolist(), self._outputs, strict=True
        ):
            loss = total / count
            if not isfinite(loss):
                raise Diverged(self._message(loss, step, rate, progress.epoch))
            self.last = loss
            progress.add("loss", total, int(count))
        seen = int(images.sum())
        progress.images += seen
        progress.add("accuracy", int(self._ranks.sum(right)), seen)
        self._outputs.clear()

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
