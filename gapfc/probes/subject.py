"""What a probe is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gapfc.data.loader import Loader
from gapfc.data.sizes import Size
from gapfc.engine.device import Precision
from gapfc.model.classifier import Classifier


@dataclass(frozen=True)
class Subject:
    """A trained model, and the images to measure it on.

    Attributes:
        model: in evaluation mode, on `device`.
        untrained: builds the same network as it was before training, the control of some probes.
        loader: of the data set; `loader.evaluation(split)` gives normalised batches.
        split: which images: test, or val where there is no test split.
        input_size: (h, w) of the images that the model was trained on.
        precision: of the forward pass.
        seed: the run's.
    """

    model: Classifier
    untrained: Callable[[], Classifier]
    loader: Loader
    split: str
    input_size: Size
    precision: Precision
    device: torch.device
    seed: int


@dataclass(frozen=True)
class Finding:
    """What one probe found.

    Attributes:
        values: its numbers, nested by condition: `{"zero": {"4": {"accuracy": 0.9}}}`.
        yes: by the path of a metric below the probe (`zero.4.accuracy`): bool [D, N], for each of D
            variants and N images in the order of the split; the metric is the mean of all.
    """

    values: dict[str, Any]
    yes: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
