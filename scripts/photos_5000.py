#!/usr/bin/env python3
"""A folder of 5,000 photos of many sizes: gapfc beside torchvision's ImageFolder and a DataLoader.

    python scripts/photos_5000.py [--photos 5000] [--epochs 4] [--rounds 3] [--root DIR]
                                  [--source DIR] [--weights FILE] [--workers N] [-- SETTING …]

The photos are synthetic: random crops of those below --source (hymenoptera, if it is in
data_root), or smooth noise without any, resized so that the longer side is 200 to 2,000 pixels, and
saved as JPEG of quality 75 to 95: what decoding costs is real, what is to be learnt is not. They
are made once, in a temporary folder below --root (default: the system's), which is removed at the
end.

  usual   ImageFolder, Resize and CenterCrop, a DataLoader with --workers, SqueezeNet 1.1 frozen
          under a linear layer, fp32: the training script that people have
  gapfc   gapfc train dataset=folder backbone=squeezenet1_1 backbone.trainable=none augment=none
          and the given SETTINGs, with an empty cache; precision as gapfc chooses it
  fp32    the same with trainer.precision=fp32

Each way trains in a process of its own, in turn, --rounds times; one tenth of the photos validate.
"First epoch" is from the start of the process to its first validation; a later epoch has its
validation, too. Memory is the largest sum of proportional set sizes (PSS) of a process and its
workers, looked up every 0.2 s (Linux); without files, what of it the kernel could not drop and read
again from a file, as it can the kept features. Printed are medians over the rounds, and of the
ratios to `usual` within a round.
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH = 32
CLASSES = 5
DATA = Path(os.environ.get("GAPFC_DATA") or "data")
EPOCH = re.compile(r"^\s*(\d+)/\d+\s")  # begins a line that either way prints per epoch
WAYS = {"usual": None, "gapfc": [], "fp32": ["trainer.precision=fp32"]}


def make_photos(root: Path, source: Path, count: int) -> None:
    """`count` JPEG files in root/{train,val}/<class>: nine of ten in train."""
    import numpy as np
    from PIL import Image

    draw = random.Random(0)
    originals = sorted(source.rglob("*.jp*g"))
    for number in range(count):
        split = "val" if number % 10 == 9 else "train"
        folder = root / split / f"class{number // 10 % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        longer = round(200 * 10 ** draw.random())
        shorter = round(longer * draw.uniform(0.5, 1))
        size = (longer, shorter) if draw.random() < 0.7 else (shorter, longer)
        if originals:
            with Image.open(draw.choice(originals)) as photo:
                share = draw.uniform(0.6, 1)
                width, height = (round(side * share) for side in photo.size)
                left = draw.randint(0, photo.width - width)
                top = draw.randint(0, photo.height - height)
                image = photo.convert("RGB").crop((left, top, left + width, top + height))
        else:
            pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
            image = Image.fromarray(pixels)
        image.resize(size, Image.Resampling.BICUBIC).save(
            folder / f"{number}.jpg", quality=draw.randint(75, 95)
        )


def usual(root: Path, weights: str | None, epochs: int, workers: int) -> None:
    """The usual training script; prints a line per epoch."""
    import torch
    from torch import nn
    from torchvision import models
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    torch.manual_seed(0)
    transform = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    loaders = {
        split: torch.utils.data.DataLoader(
            ImageFolder(str(root / split), transform),
            BATCH,
            shuffle=split == "train",
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        for split in ("train", "val")
    }
    network = models.squeezenet1_1()
    if weights:
        network.load_state_dict(torch.load(weights, weights_only=True))
    backbone = network.features.eval().requires_grad_(False)
    head = nn.Linear(512, CLASSES)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)

    def logits(images: Any) -> Any:
        with torch.no_grad():
            features = backbone(images).mean(dim=(2, 3))
        return head(features)

    for epoch in range(1, epochs + 1):
        for images, labels in loaders["train"]:
            loss = nn.functional.cross_entropy(logits(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right = total = 0
        with torch.no_grad():
            for images, labels in loaders["val"]:
                right += int((logits(images).argmax(1) == labels).sum())
                total += len(labels)
        print(f"{epoch}/{epochs} {right / total:.2%}", flush=True)


def command(way: str, root: Path, options: argparse.Namespace, place: Path) -> list[str]:
    """What to start for one way; place: an empty folder."""
    more = WAYS[way]
    if more is None:
        return [sys.executable, __file__, "--train", str(root), *_given(options)]
    weights = [f"backbone.weights={options.weights}"] if options.weights else []
    return [
        sys.executable, "-m", "gapfc", "train", "dataset=folder", f"dataset.train_dir={root}",
        "backbone=squeezenet1_1", "backbone.trainable=none", *weights, "head=gap", "augment=none",
        "dataset.resize=crop", "dataset.crop_share=0.875", f"trainer.epochs={options.epochs}",
        f"trainer.batch_size={BATCH}", "trainer.device=cpu", f"dataset.workers={options.workers}",
        "optimizer=adamw", "optimizer.lr=1e-3", f"output_root={place}/outputs", *more,
        *options.settings,
    ]  # fmt: skip


def _given(options: argparse.Namespace) -> list[str]:
    weights = ["--weights", options.weights] if options.weights else []
    return ["--epochs", str(options.epochs), "--workers", str(options.workers), *weights]


def measure(way: str, root: Path, options: argparse.Namespace) -> dict[str, float]:
    """Seconds of the first epoch and of a later one, and the largest memory in MiB, in two ways."""
    with tempfile.TemporaryDirectory(dir=root.parent) as place:
        environment = {**os.environ, "XDG_CACHE_HOME": f"{place}/cache"}
        log = Path(place) / "log"
        begun, ends, largest = time.perf_counter(), list[float](), (0.0, 0.0)
        with log.open("w") as out:
            words = command(way, root, options, Path(place))
            process = subprocess.Popen(words, stdout=out, stderr=out, env=environment)
        while process.poll() is None:
            time.sleep(0.2)
            whole, own = _memory(process.pid)
            largest = max(largest[0], whole), max(largest[1], own)
            done = sum(bool(EPOCH.match(line)) for line in log.read_text().splitlines())
            ends += [time.perf_counter() - begun] * (done - len(ends))
        if process.returncode or len(ends) < options.epochs:
            sys.exit(f"{way} failed:\n{log.read_text()}")
    later = (ends[-1] - ends[0]) / (len(ends) - 1)
    return {
        "first epoch, s": ends[0],
        "later epoch, s": later,
        "memory, MiB": largest[0],
        "without files": largest[1],
    }


def _memory(pid: int) -> tuple[float, float]:
    """The PSS of a process and all below it, in MiB; and that without mapped files."""
    total, files, left = 0.0, 0.0, [pid]
    while left:
        current = left.pop()
        try:
            text = Path(f"/proc/{current}/smaps_rollup").read_text()
            tasks = list(Path(f"/proc/{current}/task").iterdir())
            left += [int(p) for task in tasks for p in (task / "children").read_text().split()]
        except OSError:  # it has ended
            continue
        kilobytes = {
            key: int(n) for key, n in re.findall(r"^(Pss\w*):\s+(\d+)", text, re.MULTILINE)
        }
        total += kilobytes["Pss"] / 1024
        files += kilobytes["Pss_File"] / 1024
    return total, total - files


def main() -> None:
    """Make the photos, train in turn, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    weights = DATA / "weights" / "squeezenet1_1.pth"
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--root", type=Path)
    parser.add_argument("--source", type=Path, default=DATA / "hymenoptera")
    parser.add_argument("--weights", default=str(weights) if weights.is_file() else None)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # the usual way, by itself
    parser.add_argument("settings", nargs="*", metavar="SETTING")
    options = parser.parse_args()
    if options.train:
        usual(options.train, options.weights, options.epochs, options.workers)
        return
    if options.epochs < 2 or options.photos < 20 * CLASSES:
        parser.error(f"it takes 2 epochs and {20 * CLASSES} photos or more")
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(dir=options.root) as place:
        root = Path(place) / "photos"
        make_photos(root, options.source, options.photos)
        size = sum(file.stat().st_size for file in root.rglob("*.jpg")) / 2**20
        made = "crops of other photos" if any(options.source.rglob("*.jp*g")) else "noise"
        print(f"{options.photos:,} synthetic photos ({made}), {size:.0f} MiB of JPEG", flush=True)
        for turn in range(options.rounds):
            for way in list(WAYS)[turn % len(WAYS) :] + list(WAYS)[: turn % len(WAYS)]:
                found[way].append(measure(way, root, options))
                values = "  ".join(f"{key} {value:.1f}" for key, value in found[way][-1].items())
                print(f"round {turn + 1}  {way:<6} {values}", flush=True)
    print(f"\nmedians of {options.rounds} rounds, and of their ratios to usual")
    for key in found["usual"][0]:
        print(f"  {key:<15}", end="")
        for way, rows in found.items():
            ratios = [row[key] / base[key] for row, base in zip(rows, found["usual"], strict=True)]
            median = statistics.median(row[key] for row in rows)
            print(f"  {way} {median:8.1f} (x {statistics.median(ratios):.2f})", end="")
        print()


if __name__ == "__main__":
    main()
