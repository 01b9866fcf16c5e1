"""Images in memory that the processes of one machine share, instead of a copy for each."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gapfc.data.resident import Resident

MEMORY = Path("/dev/shm")
NAMES = ("images", "labels", "places")


@dataclass
class SharedImages:
    """Splits that one process has put where others on this machine find them.

    Attributes:
        files: split -> file, for the others.
    """

    files: dict[str, str] = field(default_factory=dict)
    _folder: Path | None = None

    def put(self, splits: Mapping[str, Resident]) -> None:
        """Share `splits`, which from now on use the shared memory too, if they are on the CPU.

        Nothing is shared where there is no such memory, or not enough of it.
        """
        if not splits or not MEMORY.is_dir():
            return
        tensors = [getattr(resident, name) for resident in splits.values() for name in NAMES]
        # torch's workers and NCCL need some of it, too.
        if sum(tensor.nbytes for tensor in tensors) > shutil.disk_usage(MEMORY).free / 2:
            return
        try:
            _remove_left_over()
            self._folder = Path(tempfile.mkdtemp(prefix=f"gapfc-{os.getpid()}-", dir=MEMORY))
            for split, resident in splits.items():
                path = self._folder / f"{split}.pt"
                torch.save({name: getattr(resident, name).cpu() for name in NAMES}, path)
                if resident.images.device.type == "cpu":
                    # Also for the arrays that they may be of.
                    resident.images.data = _read(path).images
                self.files[split] = str(path)
        except (OSError, RuntimeError):  # torch has one of its own for a full disk
            self.remove()

    def remove(self) -> None:
        """Remove the files; what has read them keeps the memory."""
        self.files.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _remove_left_over() -> None:
    """Folders of processes of this user that were killed."""
    for folder in MEMORY.glob("gapfc-*-*"):
        number = folder.name.split("-")[1]
        with contextlib.suppress(OSError):
            own = folder.stat().st_uid == os.getuid()
            if own and number.isdigit() and not Path("/proc", number).exists():
                shutil.rmtree(folder, ignore_errors=True)


def taken(path: str, device: torch.device) -> Resident | None:
    """What another process has put at `path`, on `device`; None if it is not on this machine."""
    try:
        found = _read(Path(path))
    except FileNotFoundError:
        return None
    # The places too would keep the whole file in memory where the images are on a GPU.
    return Resident(found.images.to(device), found.labels.to(device), found.places.clone())


def _read(path: Path) -> Resident:
    state = torch.load(path, mmap=True, weights_only=True)
    return Resident(*(state[name] for name in NAMES))
