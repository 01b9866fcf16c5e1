"""What the tests of gapfc.data do to pixels."""

import torch
from torch import Tensor

from gapfc.data import Dataset


def denormalize(images: Tensor, dataset: Dataset) -> Tensor:
    """float32 [B, 3, h, w] as the network gets them -> uint8 [B, 3, h, w]."""
    mean = torch.tensor(dataset.mean).view(1, 3, 1, 1)
    std = torch.tensor(dataset.std).view(1, 3, 1, 1)
    return ((images * std + mean) * 255).round().to(torch.uint8)
