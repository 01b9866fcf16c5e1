"""A trained model that takes images as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gapfc.data.normalize import Normalize
from gapfc.data.prepare import prepare_image, prepare_tensor
from gapfc.errors import UserError
from gapfc.records.inputs import Inputs

Images: TypeAlias = Tensor | Image.Image | Sequence[Tensor | Image.Image]

TAKES = (
    "a model takes uint8 tensors [B, 3, h, w] or [3, h, w], PIL images, lists of either, or "
    "normalised floating tensors [B, 3, h, w]"
)
# What people have images in besides, and how an image is made of it.
MADE = {
    np.ndarray: "PIL's Image.fromarray(array) makes an image of uint8 [h, w, 3]",
    str: "PIL's Image.open(path) opens it",
    os.PathLike: "PIL's Image.open(path) opens it",
}
ONE = (Tensor, Image.Image, *MADE)


class TrainedModel(nn.Module):
    """Backbone and head of a run, with what turns an image into their input; in evaluation mode.

    Attributes:
        backbone: images [B, 3, h, w], normalised -> features [B, C, H, W].
        head: features -> logits [B, K].
        inputs: what is done to an image, and the names of the classes.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.inputs = inputs
        self.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K classes, in the order of the logits."""
        return self.inputs.classes

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, images: Images) -> Tensor:
        """Logits [B, K] of B images.

        What has pixels of 0..255 is resized and normalised as the run's own test images were:
        uint8 tensors [B, 1 or 3, h, w] or [1 or 3, h, w], PIL images of any mode and size, lists
        of these. Floating tensors [B, 3, h, w] are taken for normalised, and for the size that is
        meant: any if the head accepts any.

        Raises UserError for anything else, and for a size that the head does not accept.
        """
        if isinstance(images, Tensor) and images.is_floating_point():
            if images.ndim != 4 or images.shape[1] != 3:
                raise UserError(f"{TAKES}; got {images.dtype} {list(images.shape)}")
            logits: Tensor = self.head(self.backbone(images))
            return logits
        if isinstance(images, Tensor) and images.ndim == 4:
            return self._logits(self.prepare(images))
        given: Any = images
        each = given if isinstance(given, Iterable) and not isinstance(given, ONE) else [given]
        prepared = [self.prepare(image) for image in each]
        if not prepared:
            raise UserError(f"{TAKES}; got no image")
        return self.logits(prepared)

    def prepare(self, image: Tensor | Image.Image) -> Tensor:
        """An image, resized as for evaluation: uint8 [3, h, w].

        image: of PIL, or uint8 [1 or 3, h, w]; a batch [B, 1 or 3, h, w] gives [B, 3, h, w].
        """
        if isinstance(image, Image.Image):
            return prepare_image(image, self.inputs)
        batch = image[None] if isinstance(image, Tensor) and image.ndim == 3 else image
        if (
            not isinstance(batch, Tensor)
            or batch.dtype != torch.uint8
            or batch.ndim != 4
            or batch.shape[1] not in (1, 3)
            or not batch.numel()
        ):
            said = type(image).__name__
            if isinstance(image, Tensor):
                said = f"{image.dtype} {list(image.shape)}".removeprefix("torch.")
            how = [f": {how}" for kind, how in MADE.items() if isinstance(image, kind)]
            raise UserError(f"{TAKES}; got {said}{''.join(how)}")
        prepared = prepare_tensor(batch, self.inputs)
        return prepared[0] if image.ndim == 3 else prepared

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 [..., 3, h, w] -> float32, on the model's device: (pixel / 255 - mean) / std."""
        normalize = Normalize(self.inputs.mean, self.inputs.std, self.device, channels_last=False)
        batch = images.to(self.device).reshape(-1, *images.shape[-3:])
        return normalize(batch).reshape(*images.shape[:-3], 3, *images.shape[-2:])

    def logits(self, prepared: Sequence[Tensor]) -> Tensor:
        """Logits [B, K] of what `prepare` gave, uint8 [3, h, w], of one size or of several."""
        found = [(rows, self._logits(batch)) for rows, batch in by_size(prepared)]
        order = torch.tensor([row for rows, _ in found for row in rows])
        logits = torch.cat([logits for _, logits in found])
        return logits[order.argsort().to(logits.device)]

    def _logits(self, prepared: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(self.normalize(prepared)))
        return logits


def by_size(prepared: Sequence[Tensor]) -> Iterator[tuple[list[int], Tensor]]:
    """Images [3, h, w] as batches, each of one size, with their places among `prepared`."""
    places: dict[torch.Size, list[int]] = {}
    for place, image in enumerate(prepared):
        places.setdefault(image.shape, []).append(place)
    for rows in places.values():
        yield rows, torch.stack([prepared[row] for row in rows])
