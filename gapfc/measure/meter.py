"""How good are these logits? Every measure of a split, from one pass over its batches."""

import math
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from gapfc.measure.calibration import bin_sums, expected_calibration_error


class Each(NamedTuple):
    """What was said of each sample, in the order of the batches; all [N], on the CPU.

    label, prediction: int64; a prediction is -1 where a logit is not a number. p_label,
    p_prediction: float32, the probabilities given to these two; nan where a logit is not finite.
    """

    label: Tensor
    prediction: Tensor
    p_label: Tensor
    p_prediction: Tensor


class Measures(TypedDict):
    """What a split is measured by: fractions in [0, 1], `nll` in nats per sample.

    `recall` and `precision` have one value per class, None where it is undefined: no sample of the
    class, and no sample taken for it; `class_sizes` has the number of samples of each class.
    `confusion` and `each` are not for results.json.
    """

    accuracy: float
    top5: float | None
    nll: float
    ece: float
    brier: float
    balanced_accuracy: float
    macro_f1: float
    recall: list[float | None]
    precision: list[float | None]
    class_sizes: list[int]
    confusion: Tensor
    each: Each


WIDTH = 7  # numbers that a Meter keeps of each sample


class Meter:
    """What each sample scored, kept on the logits' device: only `compute` waits for it.

    Everything is float64, whatever the precision of the model, and summed at the end: so no
    measure depends on how samples were divided into batches, or among processes. Of equal logits
    the lower class wins, so a constant output scores as chance and not as certainty.

    Attributes:
        parts: of each batch, float64 [B, WIDTH]: label, prediction, the probabilities given to
            both, the number of classes that scored better than the label's, nll and Brier score.
    """

    def __init__(self, num_classes: int) -> None:
        """Start with no samples; num_classes: K."""
        self.num_classes = num_classes
        self.parts: list[Tensor] = []

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
        own_p = own_log_p.exp()
        brier = p.square().sum(1) - 2 * own_p + 1
        largest, seen = logits.max(1)
        seen = seen.masked_fill(largest.isnan(), -1)
        values = (labels, seen, own_p, p.amax(1), rank, -own_log_p, brier)
        self.parts.append(torch.stack([value.double() for value in values], 1))

    def compute(self) -> Measures:
        """Means over all samples so far.

        `top5` is None where K <= 5; `confusion` is int64 [K, K] on the CPU, rows true classes,
        columns predicted. A sample whose logits are not all finite makes nll, ece and brier nan;
        one with a logit that is not a number is in no column of `confusion`.
        ECE: Guo et al. 2017, 15 right-closed bins. Brier: the sum of squares over classes
        (Brier 1950), in [0, 2]. Balanced accuracy: the mean recall of the classes that have
        samples (Brodersen et al. 2010, "The balanced accuracy and its posterior distribution").
        Macro F1: the mean over all K classes of 2·hits / (samples + predictions), 0 for a class
        with neither (scikit-learn's zero_division=0).
        """
        if not sum(map(len, self.parts)):
            raise ValueError("no sample was measured")
        columns = torch.cat(self.parts).cpu().T.contiguous()
        label, seen = columns[:2].long()
        own_p, largest_p, rank, loss, square = columns[2:]
        right = (rank == 0).double()
        means = torch.stack([right, (rank < 5).double(), loss, square]).mean(1)
        accuracy, top5, nll, brier = means.tolist()
        k = self.num_classes
        confusion = torch.bincount((label * k + seen)[seen >= 0], minlength=k**2).reshape(k, k)
        samples = torch.bincount(label, minlength=k).double()
        hits, predictions = confusion.diagonal().double(), confusion.sum(0).double()
        recall, precision = hits / samples, hits / predictions
        return Measures(
            accuracy=accuracy,
            top5=top5 if k > 5 else None,
            nll=nll,
            ece=expected_calibration_error(bin_sums(largest_p, right)),
            brier=brier,
            balanced_accuracy=float(recall.nanmean()),
            macro_f1=float((2 * hits / (samples + predictions).clamp(min=1)).mean()),
            recall=_defined(recall),
            precision=_defined(precision),
            class_sizes=[int(count) for count in samples],
            confusion=confusion,
            each=Each(label, seen, own_p.float(), largest_p.float()),
        )


def _defined(values: Tensor) -> list[float | None]:
    """Numbers, and None for what is nan: 0 / 0."""
    return [None if math.isnan(value) else value for value in values.tolist()]
