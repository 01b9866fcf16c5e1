"""What every data source returns, before classes are picked and splits are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from gapfc.data.arrays import Arrays
from gapfc.data.files import Files, checked

Split: TypeAlias = Arrays | Files


@dataclass(frozen=True)
class RawDataset:
    """The splits a data set comes with; `val` and `test` are None if it has none of its own.

    origins: where the user's own splits are, by `train`, `val` and `test`.
    """

    classes: tuple[str, ...]
    train: Split
    val: Split | None = None
    test: Split | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def splits(self) -> dict[str, Split]:
        """Those that there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}

    def over(self, splits: Mapping[str, Split]) -> RawDataset:
        """The same of other images, by name."""
        train, val, test = splits["train"], splits.get("val"), splits.get("test")
        return replace(self, train=train, val=val, test=test)

    def checked(self) -> RawDataset:
        """The same with every file's header opened: see `files.checked`."""
        files = {name: split for name, split in self.splits().items() if isinstance(split, Files)}
        opened = dict(zip(files, checked(list(files.values())), strict=True))
        return self.over({**self.splits(), **opened})
