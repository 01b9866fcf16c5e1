#!/usr/bin/env python3
"""What checkpoints of a head with 44 million weights cost: each epoch, and as gapfc writes them.

    OMP_NUM_THREADS=1 python scripts/checkpoint_cost.py [--epochs 30] [--images 244] [--folder .]

head=fc (one hidden layer of 512) on 512 x 13 x 13 maps, as SqueezeNet 1.1 gives of photos, trained
by gapfc's own loop and AdamW on random maps that are in memory, as a frozen backbone's kept
features are. Three runs in one process: without checkpoints, written at every epoch, and by
gapfc's rule (gapfc.engine.keeper). Every third epoch is the best so far.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gapfc.engine import checkpoint, keeper
from gapfc.engine.device import choose_precision, set_determinism
from gapfc.engine.fit import Fit
from gapfc.engine.optimizer import build_optimizer
from gapfc.engine.schedule import Cosine
from gapfc.engine.settings import Settings
from gapfc.engine.training import Training
from gapfc.heads import FC
from gapfc.model.classifier import Classifier

SHAPE, CLASSES, BATCH = (512, 13, 13), 2, 32
FP32 = choose_precision("fp32", torch.device("cpu"))
WAYS = ("none", "every epoch", "gapfc")


class Batches:
    """Random maps in order."""

    weight = 1.0  # no other rank has part of a batch

    def __init__(self, images: int) -> None:
        self.maps = torch.rand(images, *SHAPE).split(BATCH)
        self.steps = len(self.maps)

    def epoch(self, epoch: int, start: int = 0) -> Any:
        """Batches `start`, start + 1, ... of maps and labels."""
        for maps in self.maps[start:]:
            yield maps, torch.arange(len(maps)) % CLASSES


class Silence:
    """Listens to nothing."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """A batch is done."""

    def sample(self, step: int, scalars: dict[str, float]) -> None:
        """A step is sampled."""

    def epoch(self, row: dict[str, Any], improved: bool) -> None:
        """An epoch is done."""


def seconds(way: str, batches: Batches, epochs: int, folder: Path) -> tuple[float, float, int]:
    """Of the whole run; of them for checkpoints; and how many times these were written."""
    torch.manual_seed(0)
    model = Classifier(nn.Identity(), FC(SHAPE, CLASSES, hidden=[512]))
    options = {"_target_": "torch.optim.AdamW", "lr": 1e-4, "weight_decay": 0.01, "fused": True}
    training = Training(model, build_optimizer(model, options, {}), Cosine(), FP32.scaler())
    kept = keeper.Keeper(folder)
    spent, written = 0.0, 0

    def last() -> dict[str, Any]:
        nonlocal written
        written += 1
        return training.state_dict()

    def save(improved: bool, final: bool) -> None:
        nonlocal spent
        if way == "none":
            return
        begun = time.perf_counter()
        best = {"model": model.state_dict()} if improved else None
        always = final or training.progress.epoch == 1 or way == "every epoch"
        kept.keep(last, best, at_once=always)
        spent += time.perf_counter() - begun

    def measure(net: nn.Module) -> dict[str, Any]:
        return {"val_accuracy": (training.progress.epoch // 3) / epochs, "val_loss": 1.0}

    begun = time.perf_counter()
    Fit(training, batches, measure, Settings(epochs, FP32), Silence(), save).run()
    return time.perf_counter() - begun, spent, written


def main() -> None:
    """Measure the three, and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=244)
    parser.add_argument("--folder", default=".", help="where the checkpoints are written")
    options = parser.parse_args()
    set_determinism(True)
    batches = Batches(options.images)
    print(f"{'checkpoints':<12} {'run s':>7} {'s per epoch':>12} {'writing s':>10} {'times':>6}")
    for way in WAYS:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name)
            run, spent, written = seconds(way, batches, options.epochs, folder)
            sizes = [
                f"{path.name} {path.stat().st_size / 1e6:.0f} MB"
                for path in map(folder.joinpath, (checkpoint.LAST, checkpoint.BEST))
                if path.exists()
            ]
        per_epoch = run / options.epochs
        print(f"{way:<12} {run:>7.1f} {per_epoch:>12.2f} {spent:>10.1f} {written:>6}", flush=True)
    print(", ".join(sizes))


if __name__ == "__main__":
    main()
