"""What part of a machine each of several parallel runs may use: some threads, one GPU."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gapfc.errors import UserError
from gapfc.records.lock import Lock

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_slots: dict[Path, tuple[int, Lock]] = {}  # of this process, held until it ends


@dataclass(frozen=True)
class Share:
    """A machine shared among `jobs` runs at a time: `threads` each, and `gpus` in turn."""

    jobs: int
    threads: int
    gpus: tuple[str, ...] = ()

    def take(self, folder: Path) -> None:
        """Confine this process to its share; call it before torch is imported.

        folder: of the sweep, in which processes see who has which place.
        """
        for name in THREAD_VARIABLES:
            os.environ[name] = str(self.threads)
        if "torch" in sys.modules:  # a process that ran another run before
            sys.modules["torch"].set_num_threads(self.threads)
        if self.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu(_slot(folder, self.jobs))

    def gpu(self, slot: int) -> str:
        """The GPU of the process in place `slot`, in turn."""
        return self.gpus[slot % len(self.gpus)]


def divide(jobs: int, cores: int, gpus: tuple[str, ...], environment: Mapping[str, str]) -> Share:
    """The share of each of `jobs` runs: cores are divided, without exceeding OMP_NUM_THREADS."""
    threads = max(1, cores // jobs)
    limit = environment.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit):
        threads = min(threads, int(limit))
    return Share(jobs, threads, gpus)


def gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the GPUs as CUDA_VISIBLE_DEVICES has them, found without loading CUDA."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    if shutil.which("nvidia-smi") is None:
        return ()
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(answer.stdout.split()) if answer.returncode == 0 else ()


def _slot(folder: Path, jobs: int) -> int:
    """The first free place of `jobs`; a process keeps its own until it ends."""
    if folder not in _slots:
        for slot in range(jobs):
            try:
                _slots[folder] = slot, Lock(folder / f"slot{slot}.lock")
                break
            except UserError:
                continue
        else:  # a process that is about to end still holds one
            return os.getpid() % jobs
    return _slots[folder][0]
