#!/usr/bin/env python3
"""How close gapfc's training comes to the limit, and how far it leaves the usual way behind.

    python scripts/benchmark.py [--data-root data] [--rounds 7] [--steps 100] [--device auto]
                                [--models tiny small convnet] [--without-usual]

Three ways to train one network on Fashion-MNIST:

  bare    the limit: batches of 128 ready in memory; forward, loss, backward, step, no more
  gapfc   gapfc's own engine: augmentation, metrics, TensorBoard events, progress bar
  usual   torchvision's data set, PIL transforms, a DataLoader with 0, 1 or 2 workers, `.item()`
          each step, NCHW

Printed are the medians over the rounds of images per second, and of the ratios within a round. A
round is --steps steps of each way. Bare and gapfc alternate every 20 steps, in one process and with
one network: what else runs on a machine changes within seconds, and where a process's memory
happens to be is worth a few per cent. Each precision, and each usual way, has its own process. All
but the usual way are told to keep freed memory (gapfc.system.allocator). gapfc's time is what its
progress bar shows: all but the validation at the end of an epoch, which the other two do not have
either.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

BATCH = 128
BLOCK = 20  # steps of a turn
EPOCH = 25600  # images, before 10 % are kept for validation
MODELS = {
    # The smaller the network, the more the work around its steps weighs.
    "tiny": ["backbone.widths=[16,32]", "backbone.pool_after=[1,2]"],
    # The widths of PyTorch's own MNIST example.
    "small": ["backbone.widths=[32,64]", "backbone.pool_after=[1,2]"],
    "convnet": [],
}
# Called when a turn is over, with steps and seconds of each way; returns when the next begins.
Turn = Callable[[dict[str, tuple[int, float]]], None]


def compose(model: str, precision: str, options: argparse.Namespace) -> Any:
    """The config of `gapfc train` for this benchmark."""
    import hydra

    with hydra.initialize_config_module("gapfc.configs", version_base="1.3"):
        return hydra.compose(
            "train",
            [
                "dataset=fashion_mnist",
                f"data_root={options.data_root}",
                f"dataset.train_limit={EPOCH}",
                "dataset.test_limit=100",
                f"trainer.batch_size={BATCH}",
                f"trainer.precision={precision}",
                f"trainer.device={options.device}",
                "trainer.epochs=1000",
                *MODELS[model],
            ],
        )


def train_gapfc(model: str, precision: str, options: argparse.Namespace, turn: Turn) -> None:
    """Train by the engine, with everything on, and by the bare loop in between."""
    from torch.nn import functional

    from gapfc.experiment.experiment import Experiment
    from gapfc.experiment.invocation import Invocation
    from gapfc.experiment.journal import Journal
    from gapfc.system.allocator import keep_freed_memory
    from gapfc.system.interruption import Interruption
    from gapfc.tensorboard.events import TensorBoardLog

    keep_freed_memory()
    config = compose(model, precision, options)
    config.output_root = tempfile.mkdtemp()
    experiment = Experiment(config)
    directory = Invocation("train", config, []).new_directory()
    journal = Journal(directory, TensorBoardLog(directory.path), config.trainer.epochs, bar=True)
    net, optimizer = experiment.model, experiment.training.optimizer
    ready = itertools.cycle(list(experiment.batches.epoch(0)))
    progress = experiment.training.progress
    done = {"steps": 0.0, "seconds": 0.0}

    def bare() -> float:
        """Seconds of one turn of the shortest possible loop."""
        started = time.perf_counter()
        for images, labels in itertools.islice(ready, BLOCK):
            with experiment.precision.autocast():
                logits = net(images)
            functional.cross_entropy(logits.float(), labels).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        synchronize()
        return time.perf_counter() - started

    class InTurn(Interruption):
        """Where the engine looks for signals, after every step, the bare loop has its turns."""

        def check(self, most: Callable[[int], int] = int) -> None:
            ended = progress.batch >= experiment.batches.steps  # its clock stands still here
            looked = progress.step == done["steps"]  # and where images are only looked at
            if progress.step % BLOCK or ended or looked:
                return
            paused = time.perf_counter()
            synchronize()
            late = time.perf_counter() - paused
            steps, seconds = progress.step - done["steps"], progress.seconds - done["seconds"]
            own = int(steps), seconds + late
            turn({f"bare {precision}": (BLOCK, bare()), f"gapfc {precision}": own})
            # The engine's clock keeps running: time spent in here must not count.
            done["steps"] = progress.step
            done["seconds"] = progress.seconds + time.perf_counter() - paused

    experiment.interruption = InTurn()
    experiment.fit(directory, journal)


def train_usual(model: str, workers: int, options: argparse.Namespace, turn: Turn) -> None:
    """Train as most tutorials do."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    from gapfc.engine.device import choose_device
    from gapfc.model.build import build

    config = compose(model, "fp32", options)
    device = choose_device(options.device)
    net = build(config, 10, (28, 28)).to(device).train()
    optimizer = torch.optim.SGD(
        net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    transform = transforms.Compose(
        [
            transforms.RandomCrop(28, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.Grayscale(3),
            transforms.ToTensor(),
            transforms.Normalize((0.286,) * 3, (0.353,) * 3),
        ]
    )
    images = datasets.FashionMNIST(options.data_root, transform=transform)
    some = Subset(images, range(options.steps * BATCH))
    loader = DataLoader(some, BATCH, shuffle=True, num_workers=workers)
    while True:
        started = time.perf_counter()
        total = 0.0
        for batch, labels in loader:
            batch, labels = batch.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(batch), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds = time.perf_counter() - started
        turn({f"usual, workers={workers}": (options.steps, seconds)})


def synchronize() -> None:
    """Wait for the GPU, where one is used."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


Way = tuple[Callable[..., None], Any]
OURS: list[Way] = [(train_gapfc, "fp32"), (train_gapfc, "bf16")]
USUAL: list[Way] = [(train_usual, workers) for workers in (0, 1, 2)]


def serve(pipe: Connection, way: Way, model: str, options: argparse.Namespace) -> None:
    """Train for a turn whenever asked to, in a separate process; bars go nowhere."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the life of the process)

    def turn(done: dict[str, tuple[int, float]]) -> None:
        pipe.send(done)
        if not pipe.recv():
            sys.exit()

    train, argument = way
    train(model, argument, options, turn)


def measure(model: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Images per second of every way, one value per round."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for way in OURS if options.without_usual else OURS + USUAL:
        pipe, there = context.Pipe()
        # Not a daemon: a DataLoader with workers has children of its own.
        context.Process(target=serve, args=(there, way, model, options)).start()
        pipe.recv()  # a first turn, to warm up
        pipes.append(pipe)
    rates: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for pipe in pipes:
            steps: Counter[str] = Counter()
            seconds: Counter[str] = Counter()
            while not steps or min(steps.values()) < options.steps:
                pipe.send(True)
                for name, (more, time_taken) in pipe.recv().items():
                    steps[name] += more
                    seconds[name] += time_taken
            for name in steps:
                rates.setdefault(name, []).append(steps[name] * BATCH / seconds[name])
    for pipe in pipes:
        pipe.send(False)
    return rates


def ratio(over: list[float], under: list[float]) -> str:
    """Median of the ratios within a round, and their range."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Measure the models and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", default=os.environ.get("GAPFC_DATA", "data"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100, help="of each way in a round")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--without-usual", action="store_true", help="bare and gapfc alone")
    parser.add_argument("--json", type=Path, help="write every round's figures here")
    options = parser.parse_args()
    everything = {}
    for model in options.models:
        rates = everything[model] = measure(model, options)
        print(f"\n{model}: images/s, median of {options.rounds} rounds")
        for name, values in rates.items():
            print(f"  {name:<18} {statistics.median(values):9,.0f}")
        for precision in ("fp32", "bf16"):
            title = f"gapfc {precision} / bare {precision}"
            under = rates[f"bare {precision}"]
            print(f"  {title:<24} {ratio(rates[f'gapfc {precision}'], under)}")
        usual = [values for name, values in rates.items() if name.startswith("usual")]
        for precision in ("fp32", "bf16") if usual else ():
            title, under = f"gapfc {precision} / best usual", max(usual, key=statistics.median)
            print(f"  {title:<24} {ratio(rates[f'gapfc {precision}'], under)}")
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2) + "\n")


if __name__ == "__main__":
    main()
