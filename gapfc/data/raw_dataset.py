"""What every data source returns, before classes are picked and splits are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gapfc.data.arrays import Arrays
from gapfc.data.files import Files

Split: TypeAlias = Arrays | Files


@dataclass(frozen=True)
class RawDataset:
    """The splits a data set comes with; `val` and `test` are None if it has none of its own."""

    classes: tuple[str, ...]
    train: Split
    val: Split | None = None
    test: Split | None = None

    def checked(self) -> RawDataset:
        """The same with every file's header opened: see Files.checked."""
        train, val, test = (
            split.checked() if isinstance(split, Files) else split
            for split in (self.train, self.val, self.test)
        )
        assert train is not None
        return RawDataset(self.classes, train, val, test)
