"""Policies beside torchvision's transforms of one image after the other, in one process.

    python scripts/policy_speed.py [repetitions]

Prints images per second of each on one thread, and their ratio: medians over the repetitions, which
alternate.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.transforms import RandAugment, TrivialAugmentWide

from gapfc.data.policies.policy import Policy, randaugment, trivialaugment


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def in_batches(policy: Policy, images: Sequence[Tensor], random: Sequence[Tensor]) -> list[Tensor]:
    """What a policy of gapfc's makes of whole batches."""
    return [policy(*part) for part in zip(images, random, strict=True)]


def one_by_one(policy: nn.Module, images: Tensor) -> Tensor:
    """What a policy of torchvision's makes of each image."""
    return torch.stack([policy(image) for image in images])


def main() -> None:
    """Measure both policies on pictures of 32 and of 224 pixels."""
    torch.set_num_threads(1)
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    pairs = {
        "randaugment": (randaugment(2, 9), RandAugment()),
        "trivialaugment": (trivialaugment(), TrivialAugmentWide()),
    }
    for size, count, batch in ((32, 512, 512), (224, 64, 32)):
        coarse = torch.rand(count, 3, 8, 8)
        images = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
        images = (images * 255).byte()
        for name, (ours, theirs) in pairs.items():
            random = torch.rand(count, ours.numbers)

            batches = partial(in_batches, ours, images.split(batch), random.split(batch))
            single = partial(one_by_one, theirs, images)
            times = [(seconds(batches), seconds(single)) for _ in range(repetitions + 1)]
            times = times[1:]  # the first warms up
            ours_s, theirs_s = (statistics.median(column) for column in zip(*times, strict=True))
            ratios = sorted(slow / fast for fast, slow in times)
            print(
                f"{name} {size}x{size}, batches of {batch}: {count / ours_s:.0f} images/s, "
                f"torchvision {count / theirs_s:.0f}: {statistics.median(ratios):.1f} times as "
                f"fast ({ratios[0]:.1f} to {ratios[-1]:.1f}, n = {repetitions})"
            )


if __name__ == "__main__":
    main()
