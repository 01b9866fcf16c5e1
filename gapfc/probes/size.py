"""Does a model still see the same in smaller and larger images?"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gapfc.data.arrays import resize
from gapfc.data.sizes import Size
from gapfc.errors import UserError
from gapfc.measure.meter import Measures
from gapfc.probes.subject import Finding, Subject, right

FACTORS = (0.5, 0.75, 1, 1.25, 1.5, 2)


def size(subject: Subject) -> Finding:
    """Accuracy on images of `<factor>` times the height and width that the model was trained on.

    `<factor>.native`: the model is given the images at that size; null where its head takes only
        the size it was built for, or they are too small for the backbone.
    `<factor>.resized_back`: they are brought back to the training size first, which any model
        takes: what the loss of pixels alone costs.

    Resized, antialiased and bilinear, from the pixels at the training size: larger images have no
    more detail.
    """
    values: dict[str, Any] = {}
    yes: dict[str, NDArray[np.bool_]] = {}
    any_size = getattr(subject.model.head, "accepts_any_size", False)
    for factor in FACTORS:
        height, width = (max(1, round(side * factor)) for side in subject.input_size)
        there = (height, width)
        found = {
            "native": _native(subject, there) if any_size else None,
            "resized_back": subject.clean
            if there == subject.input_size
            else subject.measure(
                f"size.{there}.back", partial(_there_and_back, size=there, back=subject.input_size)
            ),
        }
        values[f"{factor:g}"] = {
            how: {"accuracy": None if measures is None else measures["accuracy"]}
            for how, measures in found.items()
        }
        yes |= {
            f"{factor:g}.{how}.accuracy": right(measures)[None]
            for how, measures in found.items()
            if measures is not None
        }
    return Finding(values, yes)


def _native(subject: Subject, size: Size) -> Measures | None:
    if size == subject.input_size:
        return subject.clean
    try:
        return subject.measure(f"size.{size}", lambda images, _: resize(images, size))
    except UserError:  # too small for the backbone
        return None


def _there_and_back(images: Tensor, places: Tensor, size: Size, back: Size) -> Tensor:
    return resize(resize(images, size), back)
