"""Where keeping frozen features stops paying: images a second, computed beside read.

    python scripts/frozen_pays.py dataset=folder dataset.train_dir=photos backbone=squeezenet1_1

Trains one epoch on frozen features in a folder of its own, which computes them, then reads the kept
maps in batches of 32 in random order: from memory, and from the disk, with its pages dropped.
Settings go to gapfc train. Prints JSON: keeping pays on disks faster than `break_even_mb_s`. The
disk is that of the working folder; Linux only.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from gapfc.features.maps import kept_rows
from gapfc.features.store import Entry, Store, cache_folder

BATCH = 32


def seconds(entry: Entry, cold: bool) -> float:
    """To read all of an entry's maps in random order, as an epoch does."""
    if cold:
        with open(entry.maps, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    rows = kept_rows(entry)
    if not cold:
        rows.sum()  # into memory
    order = torch.randperm(len(rows))
    start = time.perf_counter()
    for batch in order.split(BATCH):
        rows[batch].sum()
    return time.perf_counter() - start


def main() -> None:
    """Train, read, print."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        places = [f"cache_root={folder}/cache", f"output_root={folder}/runs"]
        settings = ["recipe=frozen", "trainer.epochs=1", "trainer.cache_gib=100"]
        subprocess.run(
            [sys.executable, "-m", "gapfc", "train", *settings, *sys.argv[1:], *places],
            check=True,
            stdout=sys.stderr,
        )
        (results,) = Path(folder).rglob("results.json")
        computing = json.loads(results.read_text("utf-8"))["frozen_features"]["seconds"]
        entries = Store(cache_folder(f"{folder}/cache"), 0).entries()
        images = sum(entry.shape[0] for entry in entries)
        size = sum(entry.bytes for entry in entries) / images / 1e6
        largest = max(entries, key=lambda entry: entry.bytes)
        from_memory, from_disk = (
            largest.shape[0] / seconds(largest, cold) for cold in (False, True)
        )
    found = {
        "images": images,
        "mb_per_image": round(size, 3),
        "computed_images_per_second": round(images / computing, 1),
        "from_memory_images_per_second": round(from_memory),
        "from_disk_images_per_second": round(from_disk),
        "disk_mb_s": round(from_disk * size),
        "break_even_mb_s": round(images / computing * size),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
