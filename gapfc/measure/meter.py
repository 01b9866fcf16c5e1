"""How good are these logits? Every measure of a split, from one pass over its batches."""

from typing import TypedDict

import torch
from torch import Tensor

from gapfc.measure.calibration import bin_sums, expected_calibration_error


class Measures(TypedDict):
    """What a split is measured by: fractions in [0, 1], `nll` in nats per sample."""

    accuracy: float
    top5: float | None
    nll: float
    ece: float
    brier: float
    confusion: Tensor


class Meter:
    """Sums over batches, kept on the logits' device: only `compute` waits for it.

    Sums are float64 and use no operation that varies from run to run on CUDA. The softmax is
    taken in float64 whatever the precision of the model. Of equal logits the lower class wins,
    so a constant output scores as chance and not as certainty.
    """

    def __init__(self, num_classes: int) -> None:
        """Start with no samples; num_classes: K."""
        self.num_classes = num_classes
        self._sums: Tensor | None = None
        self._bins: Tensor | None = None
        self._pairs: list[Tensor] = []

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch. logits: [B, K] of any floating type; labels: int64 [B]."""
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise ValueError(
                f"logits of shape [B, {self.num_classes}] expected, got {list(logits.shape)}"
            )
        logits = logits.detach().double()
        own = logits.gather(1, labels[:, None])
        classes = torch.arange(self.num_classes, device=logits.device)
        # "not <=" and not ">": a logit that is not a number is never right.
        better = ~(logits <= own) | ((logits == own) & (classes < labels[:, None]))
        rank = better.sum(1)

        log_p = logits.log_softmax(1)
        # An infinite logit may leave a plausible loss for some labels; it must not count as one.
        log_p = torch.where(logits.isfinite().all(1, keepdim=True), log_p, torch.nan)
        p = log_p.exp()
        own_log_p = log_p.gather(1, labels[:, None])[:, 0]
        brier = p.square().sum(1) - 2 * own_log_p.exp() + 1
        right = (rank == 0).double()
        sums = torch.stack([right, (rank < 5).double(), -own_log_p, brier]).sum(1)
        bins = bin_sums(p.amax(1), right)
        self._sums = sums if self._sums is None else self._sums + sums
        self._bins = bins if self._bins is None else self._bins + bins
        # Kept and counted at the end: bincount and one_hot wait for the device at each call.
        self._pairs.append(labels * self.num_classes + logits.argmax(1))

    def compute(self) -> Measures:
        """Means over all samples so far.

        `top5` is None where K <= 5; `confusion` is int64 [K, K] on the CPU, rows true classes,
        columns predicted. A sample whose logits are not all finite makes nll, ece and brier nan.
        ECE: Guo et al. 2017, 15 right-closed bins. Brier: the sum of squares over classes
        (Brier 1950), in [0, 2].
        """
        if self._sums is None or self._bins is None or not sum(map(len, self._pairs)):
            raise ValueError("no sample was measured")
        pairs = torch.cat(self._pairs).cpu()
        accuracy, top5, nll, brier = (self._sums.cpu() / len(pairs)).tolist()
        confusion = torch.bincount(pairs, minlength=self.num_classes**2)
        return Measures(
            accuracy=accuracy,
            top5=top5 if self.num_classes > 5 else None,
            nll=nll,
            ece=expected_calibration_error(self._bins.cpu()),
            brier=brier,
            confusion=confusion.reshape(self.num_classes, self.num_classes),
        )
