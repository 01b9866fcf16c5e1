"""Random numbers of each image: the same in every run, batch size and choice of images."""

from collections.abc import Callable

import torch
from torch import Tensor

SEED = 1_000_003  # not the run's: all runs meet the same noise


def per_image(places: Tensor, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
    """What `draw` gives for each image, stacked: [B, …]. places: int64 [B], in the data set."""
    generator = torch.Generator()
    return torch.stack([draw(generator.manual_seed(SEED + place)) for place in places.tolist()])
