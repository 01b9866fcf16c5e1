"""An exported file, run again, against the network that it was made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gapfc.formatting import first_line, times
from gapfc.trained.export.program import Network, NotExported

# Of the largest logit. Another order of the same sums makes some 1e-6 in float32.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Agreement:
    """How near two networks came to each other.

    Attributes:
        shapes: of the batches that both were given, (B, 3, h, w).
        difference: the largest of two logits, absolute.
        largest: the largest logit, absolute.
    """

    shapes: tuple[tuple[int, ...], ...]
    difference: float
    largest: float


def compare(network: Network, run: Callable[[Tensor], Tensor], any_size: bool) -> Agreement:
    """The logits of `network` and of `run` on random images, of several batch sizes.

    any_size: compare at a second image size, too.

    Raises:
        NotExported: if `run` fails, or a logit differs by more than TOLERANCE of the largest.
    """
    shapes, difference, largest = [], 0.0, 0.0
    for images in _batches(network, any_size):
        shape = tuple(images.shape)
        with torch.no_grad():
            expected = network(images)
            try:
                found = run(images)
            except Exception as error:  # whatever the other runtime raises
                raise NotExported(f"at {times(shape)}: {first_line(str(error))[:300]}") from error
        if found.shape != expected.shape:
            raise NotExported(
                f"at {times(shape)}: logits {times(found.shape)}, not {times(expected.shape)}"
            )
        off, scale = (float(t.abs().max()) for t in (found - expected, expected))
        if not off <= TOLERANCE * scale:  # which also is so for nan
            raise NotExported(f"at {times(shape)} a logit is off by {off:.1e} (of {scale:.1e})")
        shapes.append(shape)
        difference, largest = max(difference, off), max(largest, scale)
    return Agreement(tuple(shapes), difference, largest)


def _batches(network: Network, any_size: bool) -> list[Tensor]:
    """Images of noise, as `network` takes them."""
    height, width = network.size
    wanted = [(1, height, width), (3, height, width)]
    if any_size:
        # Neither square nor, from the usual sizes, even.
        wanted.append((2, height * 3 // 2 + 1, width * 5 // 4 + 1))
    generator = torch.Generator().manual_seed(0)
    batches = [
        torch.randint(256, (count, 3, h, w), dtype=torch.uint8, generator=generator)
        for count, h, w in wanted
    ]
    # As images that were normalised have it: mean 0, deviation 1.
    return [(b.float() / 127.5 - 1) * 3**0.5 for b in batches] if network.raw else batches
