"""Two runs at the same time on one core: they take turns, and train as one alone does."""

import csv
import os
import subprocess
import sys

import pytest
import torch

from gapfc.records.results import read_results
from gapfc.system.turns import SHARED

RUN = [
    "train", "head=gap", "backbone.widths=[8,8]", "backbone.pool_after=[1]", "trainer.epochs=8",
    "dataset.train_limit=320", "trainer.batch_size=8", "trainer.device=cpu",
]  # fmt: skip


def start(folder):
    """On one core, where one thread is as many as there are cores."""
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "gapfc", *RUN],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )  # fmt: skip


def told(folder):
    """What training found, without what the clock says."""
    (metrics,) = folder.rglob("metrics.csv")
    with metrics.open() as file:
        rows = [
            {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}
            for row in csv.DictReader(file)
        ]
    best = torch.load(metrics.parent / "checkpoints" / "best.pt", weights_only=True)["model"]
    return rows, best, read_results(metrics.parent)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_bits_are_those_of_one_alone(tmp_path):
    alone = start(tmp_path / "alone")
    words, _ = alone.communicate(timeout=300)
    assert alone.returncode == 0, words
    assert SHARED not in words
    rows, best, results = told(tmp_path / "alone")
    assert (results["threads"], results["cores"]) == (1, 1)
    pair = {name: start(tmp_path / name) for name in ("one", "other")}
    said = 0
    for name, process in pair.items():
        words, _ = process.communicate(timeout=300)
        assert process.returncode == 0, words
        assert words.count(SHARED) <= 1
        said += words.count(SHARED)
        ours, weights, found = told(tmp_path / name)
        assert ours == rows
        assert weights.keys() == best.keys()
        assert all(torch.equal(weights[key], best[key]) for key in best)
        for split in ("train", "val", "test"):
            assert found[split] == results[split]
    assert said >= 1  # whoever ends within its first turn never waits
