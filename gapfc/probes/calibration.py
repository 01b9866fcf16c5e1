"""Does a model know how often it is right?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gapfc.measure.calibration import (
    adaptive_calibration_error,
    best_temperature,
    bin_sums,
)
from gapfc.measure.meter import Measures, Meter
from gapfc.probes.subject import Finding, Subject


def calibration(subject: Subject) -> Finding:
    """Of the images as they are: ece, adaptive_ece, nll and brier; and what a temperature mends.

    ece: over 15 bins of equal width; adaptive_ece: over 15 bins of equally many images; brier: the
        sum of squares over classes.
    temperature: by which logits are divided, such that the NLL of the validation images is least
        (Guo et al. 2017, arXiv:1706.04599, sec. 4.2). Above 1: the model is too sure of itself.
    after: the same four with it. Without a test split they are of the images that chose it.
    reliability: of each of the 15 bins of equal width confidence and accuracy, means over its
        images (null if it has none), and their count.
    """
    logits, labels = _logits(subject, subject.split)
    temperature = best_temperature(*_logits(subject, "val"))
    classes = subject.loader.dataset.num_classes
    values = _errors(logits, labels, classes)
    reliability = values.pop("reliability")
    after = _errors(logits.double() / temperature, labels, classes)
    del after["reliability"]
    return Finding(
        {**values, "temperature": temperature, "after": after, "reliability": reliability}
    )


def _logits(subject: Subject, split: str) -> tuple[Tensor, Tensor]:
    """Of every image of `split`: float32 [N, K], and labels, int64 [N], on the CPU."""
    found = []
    with torch.inference_mode(), subject.precision.autocast():
        for images, labels in subject.loader.evaluation(split, subject.input_size):
            found.append((subject.model(images).float().cpu(), labels.cpu()))
    logits, labels = map(torch.cat, zip(*found, strict=True))
    return logits, labels


def _errors(logits: Tensor, labels: Tensor, classes: int) -> dict[str, Any]:
    meter = Meter(classes)
    meter.update(logits, labels)
    measures: Measures = meter.compute()
    each = measures["each"]
    correct = each.prediction == each.label
    count, confidence, hits = bin_sums(each.p_prediction, correct).tolist()
    return {
        "ece": measures["ece"],
        "nll": measures["nll"],
        "brier": measures["brier"],
        "adaptive_ece": adaptive_calibration_error(each.p_prediction, correct),
        "reliability": [
            {
                "confidence": c / n if n else None,
                "accuracy": h / n if n else None,
                "count": int(n),
            }
            for n, c, h in zip(count, confidence, hits, strict=True)
        ],
    }
