#!/usr/bin/env python3
"""What a run costs that two processes share, beside the same run in one.

    python scripts/two_processes.py [--rounds 3] [key=value ...]

Each round trains twice in one process and twice in two (`trainer.devices=2`), in turn: one tiny
epoch, whose wall time is the start; and four epochs of 1,295 digits (and key=value ...), of which
images per second are taken as results.json has them, of training alone. Printed are medians, and
the medians of the ratios within a round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TINY = ["dataset.train_limit=100", "dataset.test_limit=50", "trainer.epochs=1"]
LONG = ["trainer.epochs=4"]


def run(devices: int, settings: list[str]) -> tuple[float, float]:
    """Wall seconds of a run, and its images per second."""
    with tempfile.TemporaryDirectory() as root:
        command = [
            "gapfc", "train", "head=gap", "dataset=digits", f"output_root={root}",
            "trainer.device=cpu", "trainer.progress=false", f"trainer.devices={devices}",
            *settings,
        ]  # fmt: skip
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        (file,) = Path(root).rglob("results.json")
        return seconds, json.loads(file.read_text())["images_per_second"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    asked, settings = parser.parse_known_args()
    starts: dict[int, list[float]] = {1: [], 2: []}
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(asked.rounds):
        for devices in (1, 2):
            starts[devices].append(run(devices, TINY)[0])
            speeds[devices].append(run(devices, [*LONG, *settings])[1])
    for name, of, unit in (("start", starts, "s"), ("speed", speeds, "images/s")):
        one, two = (statistics.median(of[devices]) for devices in (1, 2))
        ratio = statistics.median(b / a for a, b in zip(of[1], of[2], strict=True))
        print(f"{name}: one process {one:.3g} {unit}, two {two:.3g} {unit}: {ratio:.2f} times")


if __name__ == "__main__":
    main()
