"""Policies beside torchvision's transforms of one image after the other, in one process.

    python scripts/policy_speed.py [repetitions]

Prints images per second of each on one thread, and their ratio: medians over the repetitions, which
alternate.
"""

import statistics
import sys
import time

import torch
from torchvision.transforms import RandAugment, TrivialAugmentWide

from gapfc.data.policies.policy import randaugment, trivialaugment


def seconds(action):
    """How long `action` takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def main():
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

            def whole_batches(ours=ours, images=images, random=random, batch=batch):
                parts = zip(images.split(batch), random.split(batch), strict=True)
                return [ours(*part) for part in parts]

            def one_by_one(theirs=theirs, images=images):
                return torch.stack([theirs(image) for image in images])

            times = [(seconds(whole_batches), seconds(one_by_one)) for _ in range(repetitions + 1)]
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
