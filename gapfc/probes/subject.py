"""What a probe is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gapfc.data.loader import Loader
from gapfc.data.sizes import Size
from gapfc.engine.device import Precision
from gapfc.engine.evaluate import evaluate
from gapfc.measure.meter import Measures
from gapfc.model.classifier import Classifier
from gapfc.probes.images import AS_THEY_ARE, Change, Images


@dataclass(frozen=True)
class Subject:
    """A trained model, and the images to measure it on.

    Attributes:
        model: in evaluation mode, on `device`.
        untrained: builds the same network with the initial weights of its seed, the control of some
            probes. They are random, also where training began with a source's.
        loader: of the data set; `loader.evaluation(split)` gives normalised batches.
        split: which images: test, or val where there is no test split.
        images: of `split`, at `input_size`, shared by the models that are measured together.
        input_size: (h, w) of the images that the model was trained on.
        precision: of the forward pass.
        seed: the run's.
        check: called after each batch, and may raise to stop there.
    """

    model: Classifier
    untrained: Callable[[], Classifier]
    loader: Loader
    split: str
    images: Images
    input_size: Size
    precision: Precision
    device: torch.device
    seed: int
    check: Callable[[], None] = lambda: None

    def measure(self, name: str = AS_THEY_ARE, change: Change | None = None) -> Measures:
        """The model on the images after `change`; name: of the change, unique to it."""
        classes = self.loader.dataset.num_classes
        return evaluate(self.model, self._batches(name, change), classes, self.precision)

    @cached_property
    def clean(self) -> Measures:
        """The model on the images as they are."""
        return self.measure()

    def _batches(self, name: str, change: Change | None) -> Iterator[tuple[Tensor, Tensor]]:
        normalize = self.loader.normalize
        for images, labels, _ in self.images.changed(name, change):
            yield normalize(images.to(self.device)), labels.to(self.device)
            self.check()


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


def right(measures: Measures) -> NDArray[np.bool_]:
    """Whether the class seen is the true one: bool [N]."""
    each = measures["each"]
    return np.asarray((each.prediction == each.label).numpy())


def same(one: Measures, other: Measures) -> NDArray[np.bool_]:
    """Whether the class seen is that of the `other` images, whichever is true: bool [N]."""
    return np.asarray((one["each"].prediction == other["each"].prediction).numpy())
