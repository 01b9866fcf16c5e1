#!/usr/bin/env python3
"""How long a run of one tiny epoch takes, beside the bare import of torch and torchvision.

    python scripts/startup.py [--rounds 7] [--before FOLDER] [key=value ...]

Each round starts, one after the other and in fresh folders:

  torch   python -c "import torch, torchvision"
  gapfc   gapfc train head=gap trainer.epochs=1 dataset.train_limit=64 (and key=value ...)
  before  the same by the gapfc whose source lies in FOLDER (a git worktree, say), if given

Printed are the medians over the rounds of wall and processor time, and the median of the ratios
within a round to `torch`: what else runs on a machine changes from minute to minute, and a ratio
hardly. The first round, which fills the caches, is not counted.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = ["train", "head=gap", "trainer.epochs=1", "dataset.train_limit=64"]
# By its path: PYTHONPATH would come after an installed gapfc's own finder.
FROM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.meta_path[:] = [f for f in sys.meta_path "
    "if 'gapfc' not in getattr(f, '__module__', '')]; from gapfc.cli.main import main; main()"
)


def ways(options: argparse.Namespace) -> dict[str, list[str]]:
    """Name -> the command to time."""
    found = {
        "torch": ["-c", "import torch, torchvision"],
        "gapfc": ["-m", "gapfc", *RUN, *options.settings],
    }
    if options.before is not None:
        found["before"] = ["-c", FROM, str(options.before.resolve()), *RUN, *options.settings]
    return {name: [sys.executable, *words] for name, words in found.items()}


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of `command` in a fresh folder: by the clock, and of processors."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return wall, sum(after[:2]) - sum(before[:2])


def main() -> None:
    """Time all ways in turn, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--before", type=Path)
    parser.add_argument("settings", nargs="*")
    options = parser.parse_args()
    commands = ways(options)
    rounds = [
        {name: timed(command) for name, command in commands.items()}
        for _ in range(options.rounds + 1)
    ][1:]
    print(f"n = {options.rounds}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}")
    print(f"{'':8}{'wall s':>10}{'cpu s':>10}{'wall / torch':>14}{'cpu / torch':>14}")
    for name in commands:
        wall, cpu = (statistics.median(r[name][i] for r in rounds) for i in (0, 1))
        ratios = (statistics.median(r[name][i] / r["torch"][i] for r in rounds) for i in (0, 1))
        print(f"{name:8}{wall:10.2f}{cpu:10.2f}" + "".join(f"{ratio:14.2f}" for ratio in ratios))


if __name__ == "__main__":
    main()
