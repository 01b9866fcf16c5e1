#!/usr/bin/env python3
"""Which weights should a run on few photos end with: of its best validation epoch, or of its last?

    OMP_NUM_THREADS=1 python scripts/last_or_best.py --weights data/weights/squeezenet1_1.pth \\
        --set cifar sets/cifar/train sets/cifar/val sets/cifar/test \\
        --set hymenoptera data/hymenoptera/train - data/hymenoptera/val \\
        [--trainable none last] [--seeds 10] [--epochs 30] [--sizes 20 50 100 200] [--ema 0.95]

SqueezeNet 1.1 with ImageNet's weights under head=gap, by gapfc's own loop. What is not trained is
computed once per image, and images are not augmented. Each run is one training; at each of its
epochs its weights, and their moving average, are measured on all validation images and on the test
images. From this follows what a run would have ended with that had only n of the validation images
(the mean over 50 draws of n). With - for the validation folder, 100 images of the training folder
are kept for it, by seed.

Printed are test accuracies, and the differences to `best` in points: the mean over seeds, paired,
with Student's 95% interval. A run of one seed starts from the same weights in the same order.
"""

import argparse
import copy
import math
import random
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from gapfc.data.dataset import load
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.engine.device import choose_precision, set_determinism
from gapfc.engine.fit import Fit
from gapfc.engine.optimizer import build_optimizer
from gapfc.engine.schedule import Cosine
from gapfc.engine.settings import Settings
from gapfc.engine.training import Training, averaged
from gapfc.heads import GAP
from gapfc.model.build import build
from gapfc.model.classifier import Classifier
from gapfc.settings.compose import Composer
from gapfc.settings.nodes import plain

CPU = torch.device("cpu")
FP32 = choose_precision("fp32", CPU)
BATCH, HELD, DRAWS = 32, 100, 50
RATES = {"none": (1e-3, 1.0), "last": (1e-4, 10.0)}  # optimizer.lr, head.lr_multiplier
WAYS = ("best", "last", "ema_last", "ema_best")


class Split(NamedTuple):
    """Maps that the trained part begins with, [N, C, H, W], and labels [N]."""

    maps: Tensor
    labels: Tensor

    def at(self, index: Tensor) -> "Split":
        """Those of `index` alone."""
        return Split(self.maps[index], self.labels[index])


class Batches:
    """Of a split, shuffled by (seed, epoch)."""

    weight = 1.0  # no other rank has part of a batch

    def __init__(self, split: Split, seed: int) -> None:
        self.split, self.seed = split, seed
        self.steps = math.ceil(len(split.labels) / BATCH)

    def epoch(self, epoch: int, start: int = 0) -> Any:
        """Batches `start`, start + 1, ... of `epoch`."""
        generator = torch.Generator().manual_seed(self.seed * 1000 + epoch)
        order = torch.randperm(len(self.split.labels), generator=generator)
        for index in order.split(BATCH)[start:]:
            yield self.split.at(index)


class Silence:
    """Listens to nothing."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """A batch is done."""

    def sample(self, step: int, scalars: dict[str, float]) -> None:
        """A step is sampled."""

    def epoch(self, row: dict[str, Any], improved: bool) -> None:
        """An epoch is done."""


def read(options: argparse.Namespace, folders: list[str], trainable: str) -> Any:
    """The trained part of the backbone, and train, validation (or None) and test up to it."""
    train, val, test = folders
    paths = {"train_dir": train, "test_dir": test} | ({} if val == "-" else {"val_dir": val})
    words = [f"dataset.{key}={Path(path).resolve()}" for key, path in paths.items()]
    words += ["dataset=folder", "backbone=squeezenet1_1", f"backbone.weights={options.weights}"]
    words += ["augment=none", "dataset.residency=stream", "dataset.workers=0", "head=gap"]
    config = Composer([]).compose("train", words)
    dataset = load(config.dataset, ".")
    loader = Loader(dataset, LoaderSettings.of(config), CPU)
    backbone = build(plain(config), dataset.num_classes, loader.input_size).backbone.eval()
    stages = list(backbone.children())
    fixed = nn.Sequential(*(stages if trainable == "none" else stages[:-1]))
    trained = nn.Sequential(*([] if trainable == "none" else stages[-1:]))

    def features(split: str) -> Split:
        found = [(fixed(images), labels) for images, labels in loader.evaluation(split)]
        return Split(torch.cat([m for m, _ in found]), torch.cat([each for _, each in found]))

    with torch.inference_mode():
        splits: dict[str, Split | None] = {
            name: features(name) for name in ("train", "val", "test")
        }
    if val == "-":  # gapfc held out some already; how many are held out is decided here
        both = [splits["train"], splits["val"]]
        splits["train"] = Split(*(torch.cat(each) for each in zip(*both, strict=True)))
        splits["val"] = None
    # Out of inference mode, so that they may take part in gradients.
    copies = {n: s and Split(s.maps.clone(), s.labels.clone()) for n, s in splits.items()}
    return trained, copies, dataset.num_classes


def train(trained: nn.Module, splits: Any, classes: int, seed: int, how: Any) -> dict[str, Any]:
    """By kind of weights (own, ema): right and loss [epoch, image] of validation, test accuracy."""
    trainable, epochs, decay = how
    learn, held = splits["train"], splits["val"]
    if held is None:
        order = torch.randperm(len(learn.labels), generator=torch.Generator().manual_seed(seed))
        learn, held = learn.at(order[HELD:]), learn.at(order[:HELD])
    with torch.no_grad():
        shape = tuple(trained(learn.maps[:1]).shape[1:])
    torch.manual_seed(seed)
    model = Classifier(copy.deepcopy(trained), GAP(shape, classes))
    rate, multiplier = RATES[trainable]
    options = {"_target_": "torch.optim.AdamW", "lr": rate, "weight_decay": 0.01}
    optimizer = build_optimizer(model, options, {"head": multiplier})
    training = Training(model, optimizer, Cosine(warmup_epochs=1.0), FP32.scaler())
    average = averaged(model, decay)
    assert average is not None
    found: dict[str, Any] = {kind: {"right": [], "loss": [], "test": []} for kind in ("own", "ema")}

    def measure(net: nn.Module) -> dict[str, Any]:
        for kind, measured in (("own", net), ("ema", average.module)):
            measured.eval()
            with torch.inference_mode():
                logits, tests = (
                    torch.cat([measured(maps) for maps in split.maps.split(100)])
                    for split in (held, splits["test"])
                )
            rows = found[kind]
            rows["right"].append(logits.argmax(1) == held.labels)
            rows["loss"].append(F.cross_entropy(logits, held.labels, reduction="none"))
            right = tests.argmax(1) == splits["test"].labels
            rows["test"].append(right.double().mean().item())
        return {"val_accuracy": 0.0, "val_loss": 0.0}

    Fit(
        training,
        Batches(learn, seed),
        measure,
        Settings(epochs, FP32, seed=seed),
        Silence(),
        check=lambda: average.update_parameters(model),
    ).run()
    return {
        kind: {n: torch.stack(v) if n != "test" else v for n, v in rows.items()}
        for kind, rows in found.items()
    }


def ends(found: dict[str, Any], size: int, seed: int) -> dict[str, float] | None:
    """Test accuracy by way of ending, with `size` validation images; None if there are fewer."""
    images = found["own"]["right"].shape[1]
    if size > images:
        return None
    drawn = random.Random(seed)
    chosen: dict[str, list[float]] = {"own": [], "ema": []}
    for _ in range(DRAWS):
        index = torch.tensor(drawn.sample(range(images), size))
        for kind, rows in found.items():
            right = rows["right"][:, index].double().mean(1).tolist()
            loss = rows["loss"][:, index].double().mean(1).tolist()
            best = max(range(len(right)), key=lambda e: (right[e], -loss[e], -e))
            chosen[kind].append(rows["test"][best])
    return {
        "best": statistics.fmean(chosen["own"]),
        "last": found["own"]["test"][-1],
        "ema_last": found["ema"]["test"][-1],
        "ema_best": statistics.fmean(chosen["ema"]),
    }


def interval(values: list[float]) -> str:
    """Mean and Student's 95% interval, in points."""
    mean = 100 * statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:+.2f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.2f} [{mean - 100 * half:+.2f}, {mean + 100 * half:+.2f}]"


def main() -> None:
    """Train, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", required=True, help="squeezenet1_1.pth")
    names = ("NAME", "TRAIN", "VAL", "TEST")
    parser.add_argument("--set", nargs=4, action="append", required=True, metavar=names)
    parser.add_argument("--trainable", nargs="+", default=["none"], choices=list(RATES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200])
    parser.add_argument("--ema", type=float, default=0.95, help="decay of the moving average")
    options = parser.parse_args()
    set_determinism(True)
    for trainable in options.trainable:
        everywhere: dict[int, list[dict[str, float]]] = {size: [] for size in options.sizes}
        print(
            f"backbone.trainable={trainable}, {options.epochs} epochs, {options.seeds} seeds, "
            f"EMA {options.ema}; test accuracy of best, and differences to it in points"
        )
        print(f"{'set':<12} {'val':>4} {'best':>7}  " + "".join(f"{w:<24}" for w in WAYS[1:]))
        for name, *folders in options.set:
            trained, splits, classes = read(options, folders, trainable)
            runs = [
                train(trained, splits, classes, seed, (trainable, options.epochs, options.ema))
                for seed in range(options.seeds)
            ]
            for size in options.sizes:
                scores = [ends(found, size, seed) for seed, found in enumerate(runs)]
                rows = [row for row in scores if row is not None]
                if rows:
                    everywhere[size] += rows
                    print_row(name, size, rows)
        for size, rows in everywhere.items():
            if rows:
                print_row("all", size, rows)
        print(flush=True)


def print_row(name: str, size: int, rows: list[dict[str, float]]) -> None:
    """One line of the table: of one set and number of validation images."""
    best = statistics.fmean(row["best"] for row in rows)
    told = (interval([row[way] - row["best"] for row in rows]) for way in WAYS[1:])
    print(
        f"{name:<12} {size:>4} {best:>7.2%}  " + "".join(f"{each:<24}" for each in told), flush=True
    )


if __name__ == "__main__":
    main()
