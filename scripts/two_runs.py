#!/usr/bin/env python3
"""What several runs at once do together, beside what one does alone.

    python scripts/two_runs.py [--rounds 3] [--seconds 30] [--threads 2] [--runs 1 2 3]
                               [--before FOLDER] [key=value ...]

Each round starts `gapfc train head=gap dataset=digits` (and key=value ...) once, then twice, then
three times at the same time, with --threads threads each; with --before also by the gapfc whose
source lies in FOLDER (a git worktree, say). Once all of them train, they are left alone for
--seconds, then stopped. Counted are the images that all of them together were trained on in the
time in which all were at work, validation included, as TensorBoard's events have it. Printed are
the medians over the rounds, and of the ratios within a round to one run of this gapfc alone.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from startup import FROM
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

BATCH = 128
FEWEST = 5  # samples of each run in the time that counts
RUN = [
    "train", "head=gap", "dataset=digits", f"trainer.batch_size={BATCH}", "trainer.device=cpu",
    "trainer.epochs=100000", "trainer.progress=false",
]  # fmt: skip


def steps(folder: Path) -> tuple[list[float], list[int]]:
    """When a run was at which step."""
    found = list(folder.rglob("events.out.tfevents.*"))
    if not found:
        return [], []
    events = EventAccumulator(str(found[0].parent))
    events.Reload()
    if "loss/train" not in events.Tags()["scalars"]:
        return [], []
    scalars = events.Scalars("loss/train")
    return [s.wall_time for s in scalars], [s.step for s in scalars]


def together(start: list[str], runs: int, seconds: float, threads: int) -> list[float]:
    """Images per second of each of `runs` runs at once, over the time in which all trained."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root, str(n)) for n in range(runs)]
        for folder in folders:
            folder.mkdir()
        processes = []
        for n, folder in enumerate(folders):
            with (folder / "log").open("w") as log:
                command = [*start, f"seed={n}"]
                processes.append(
                    subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
                )
        try:
            while len(begun := [times for f in folders if (times := steps(f)[0])]) < runs:
                for process, folder in zip(processes, folders, strict=True):
                    if process.poll() is not None:
                        sys.exit(f"a run has ended:\n{(folder / 'log').read_text()}")
                time.sleep(0.5)
            time.sleep(seconds)
            begin = max(times[0] for times in begun)
            while min(sum(t > begin for t in steps(folder)[0]) for folder in folders) < FEWEST:
                time.sleep(1)
        finally:
            for process in processes:
                process.send_signal(signal.SIGINT)
            for process in processes:
                process.wait()
        found = [steps(folder) for folder in folders]
    end = min(times[-1] for times, _ in found)
    done = [np.interp([begin, end], times, counts) for times, counts in found]
    return [float((last - first) * BATCH / (end - begin)) for first, last in done]


def main() -> None:
    """Measure all cases in turn, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--before", type=Path)
    parser.add_argument("settings", nargs="*")
    options = parser.parse_args()
    starts = {"gapfc": [sys.executable, "-m", "gapfc", *RUN, *options.settings]}
    if options.before is not None:
        source = str(options.before.resolve())
        starts["before"] = [sys.executable, "-c", FROM, source, *RUN, *options.settings]
    rounds: list[dict[tuple[str, int], list[float]]] = []
    for _ in range(options.rounds):
        rounds.append({})
        for runs in options.runs:
            for name, start in starts.items():
                speeds = together(start, runs, options.seconds, options.threads)
                rounds[-1][name, runs] = speeds
                print(f"{name} {runs}: {' + '.join(f'{s:.0f}' for s in speeds)}", flush=True)
    alone = ("gapfc", min(options.runs))
    print(f"\nn = {options.rounds}, {options.threads} threads each")
    print(f"{'':8}{'runs':>5}{'images/s together':>20}{'of one alone':>15}")
    for case in rounds[0]:
        images = statistics.median(sum(r[case]) for r in rounds)
        share = statistics.median(sum(r[case]) / sum(r[alone]) for r in rounds)
        print(f"{case[0]:8}{case[1]:5}{images:20.0f}{share:15.3f}")


if __name__ == "__main__":
    main()
