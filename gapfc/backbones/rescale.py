"""From the normalisation that images have to the one in which a network's weights were trained."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gapfc.records.inputs import IMAGENET_MEAN, IMAGENET_STD


class Rescale(nn.Module):
    """From images that were normalised by ImageNet's mean and deviation to another's.

    images: `[B, 3, h, w]` -> `[B, 3, h, w]`. Its numbers belong to the weights, and are saved with
    them: a network that is built anew and filled from a run sees images as it did in training. As
    it is made, it changes nothing.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(3, 1, 1))
        self.register_buffer("shift", torch.zeros(3, 1, 1))

    def set(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Let images come out normalised by `mean` and `std`, 3 values each in units of [0, 1]."""
        for channel in range(3):  # in double precision until they are stored
            self.scale[channel] = IMAGENET_STD[channel] / std[channel]
            self.shift[channel] = (IMAGENET_MEAN[channel] - mean[channel]) / std[channel]

    def forward(self, images: Tensor) -> Tensor:
        """images: `[B, 3, h, w]` -> `[B, 3, h, w]`."""
        return images * self.scale + self.shift
