#!/usr/bin/env python3
"""How near gapfc's training comes to the bare limit, and how far it leaves the usual way behind.

    python scripts/benchmark.py [--data-root data] [--rounds 7] [--images 6400] [--device auto]
                                [--models tiny small convnet] [--without-usual]

Three ways to train one network on Fashion-MNIST, over the same number of images:

  bare    the limit: an epoch's batches ready in memory; forward, loss, backward, step, no more
  gapfc   gapfc's own engine: augmentation, metrics, TensorBoard events, progress bar
  usual   torchvision's data set, PIL transforms, a DataLoader with 0, 1 or 2 workers, `.item()`
          each step, NCHW

Each way has a process of its own, and they take turns: a round is one pass of each, so that a
noisy machine troubles all alike. Printed are the medians over the rounds of images per second,
and of the ratios within a round. Bare and gapfc are told to keep freed memory (gapfc.allocator);
the usual way is not. gapfc's time is what its progress bar shows: all but the validation at the
end of an epoch, which the other two do not have either.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

BATCH = 128
MODELS = {
    # The smaller the network, the more everything around its steps weighs.
    "tiny": ["backbone.widths=[16,32]", "backbone.pool_after=[1,2]"],
    # The widths of PyTorch's own MNIST example.
    "small": ["backbone.widths=[32,64]", "backbone.pool_after=[1,2]"],
    "convnet": [],
}
VARIANTS = {
    "bare fp32": ("bare", "fp32"),
    "gapfc fp32": ("gapfc", "fp32"),
    "usual, 0 workers": ("usual", 0),
    "usual, 1 worker": ("usual", 1),
    "usual, 2 workers": ("usual", 2),
    "bare bf16": ("bare", "bf16"),
    "gapfc bf16": ("gapfc", "bf16"),
}


def compose(model: str, precision: str, options: argparse.Namespace) -> Any:
    """The config of `gapfc train` for this benchmark."""
    import hydra

    with hydra.initialize_config_module("gapfc.configs", version_base="1.3"):
        return hydra.compose(
            "train",
            [
                "dataset=fashion_mnist",
                f"data_root={options.data_root}",
                f"dataset.train_limit={options.images}",
                "dataset.test_limit=100",
                f"trainer.batch_size={BATCH}",
                f"trainer.precision={precision}",
                f"trainer.device={options.device}",
                "trainer.epochs=1000",
                *MODELS[model],
            ],
        )


def prepare_gapfc(model: str, precision: str, options: argparse.Namespace) -> Callable[[], float]:
    """A pass by the engine, with everything on; it returns its images per second."""
    from dataclasses import replace

    from gapfc.allocator import keep_freed_memory
    from gapfc.execution import create_directory
    from gapfc.experiment import Experiment
    from gapfc.records.journal import Journal
    from gapfc.records.tensorboard import TensorBoardLog

    keep_freed_memory()
    config = compose(model, precision, options)
    config.output_root = tempfile.mkdtemp()
    experiment = Experiment(config)
    directory = create_directory("train", config, [])
    journal = Journal(directory, TensorBoardLog(directory.path), 1000, bar=True)
    progress = experiment.training.progress

    def run() -> float:
        images, seconds = progress.images, progress.seconds
        experiment.settings = replace(experiment.settings, epochs=progress.epoch + 1)
        experiment.fit(directory, journal, lambda: None)
        return (progress.images - images) / (progress.seconds - seconds)

    return run


def prepare_bare(model: str, precision: str, options: argparse.Namespace) -> Callable[[], float]:
    """A pass over normalised batches that lie ready, by the shortest loop there is."""
    import torch
    from torch.nn import functional

    from gapfc.allocator import keep_freed_memory
    from gapfc.experiment import Experiment

    keep_freed_memory()
    experiment = Experiment(compose(model, precision, options))
    net, optimizer = experiment.model.train(), experiment.training.optimizer
    batches = list(experiment.batches.epoch(0))

    def run() -> float:
        started = time.perf_counter()
        for images, labels in batches:
            with experiment.precision.autocast():
                logits = net(images)
            functional.cross_entropy(logits.float(), labels).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        return len(batches) * BATCH / (time.perf_counter() - started)

    return run


def prepare_usual(model: str, workers: int, options: argparse.Namespace) -> Callable[[], float]:
    """A pass as most tutorials have it."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    from gapfc.engine.device import choose_device
    from gapfc.model import build

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
    count = options.images * 9 // 10 // BATCH * BATCH
    loader = DataLoader(
        Subset(images, range(count)), BATCH, shuffle=True, num_workers=workers, drop_last=True
    )

    def run() -> float:
        started = time.perf_counter()
        total = 0.0
        for batch, labels in loader:
            batch, labels = batch.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(batch), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return count / (time.perf_counter() - started)

    return run


PREPARE = {"bare": prepare_bare, "gapfc": prepare_gapfc, "usual": prepare_usual}


def serve(
    pipe: Connection, kind: str, argument: Any, model: str, options: argparse.Namespace
) -> None:
    """Run passes when asked to, in a process of one's own; bars go nowhere."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the life of the process)
    run = PREPARE[kind](model, argument, options)
    run()
    pipe.send("ready")
    while pipe.recv():
        pipe.send(run())


def measure(model: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Images per second of every variant, a value a round."""
    context = multiprocessing.get_context("spawn")
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    pipes = {}
    for name, (kind, argument) in VARIANTS.items():
        if options.without_usual and kind == "usual":
            del rates[name]
            continue
        pipes[name], there = context.Pipe()
        # Not a daemon: a DataLoader with workers has children of its own.
        context.Process(target=serve, args=(there, kind, argument, model, options)).start()
        pipes[name].recv()
    for _ in range(options.rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            rates[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    return rates


def ratio(over: list[float], under: list[float]) -> str:
    """Median of the ratios within a round, and their range."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Measure both models and print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", default=os.environ.get("GAPFC_DATA", "data"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=6400, help="a pass, before validation's 10%%")
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
