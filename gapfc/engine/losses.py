"""The losses of a run's steps, read from the device now and then."""

from math import isfinite, nan

import torch
from torch import Tensor

from gapfc.engine.training import Progress


class Diverged(Exception):
    """The loss is not a finite number any more."""


class Losses:
    """Losses since the device was last waited for."""

    def __init__(self) -> None:
        self._entries: list[tuple[Tensor, Tensor, int]] = []
        self.last_loss: float = nan
        self.on_cpu = True

    def add(self, loss: Tensor, correct: Tensor, images: int) -> None:
        """Keep a batch's mean loss and number of right answers, both on the device."""
        self._entries.append((loss, correct, images))
        self.on_cpu = loss.device.type == "cpu"

    def read(self, progress: Progress, rate: float) -> None:
        """Add what has gathered to the epoch's sums; Diverged where a loss is not finite."""
        if not self._entries:
            return
        losses, corrects, sizes = zip(*self._entries, strict=True)
        values = (torch.stack(losses).tolist(), torch.stack(corrects).tolist(), sizes)
        for loss, correct, images in zip(*values, strict=True):
            if not isfinite(loss):
                before = (
                    f"the last finite one was {self.last_loss:.4g}"
                    if isfinite(self.last_loss)
                    else "no loss before it was finite"
                )
                raise Diverged(
                    f"The loss became {loss} by step {progress.step} (epoch {progress.epoch + 1}) "
                    f"at learning rate {rate:.4g}; {before}. "
                    "Try a smaller optimizer.lr, a longer schedule.warmup_epochs or "
                    "trainer.clip_norm=1."
                )
            self.last_loss = loss
            progress.add("loss", loss * images, images)
            progress.add("accuracy", correct, images)
            progress.images += images
        self._entries.clear()
