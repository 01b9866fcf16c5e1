"""gapfc compares what can stand between a CNN's last feature map and its logits."""

import importlib
import os
from collections.abc import Sequence
from typing import Any

__version__ = "0.1.0"


def results(*directories: str | os.PathLike[str], where: str | Sequence[str] = ()) -> Any:
    """A row per run below `directories`: settings that differ, and all that was measured.

    A pandas DataFrame where pandas is installed, else a list of dicts. Reads only; runs that are
    broken are rows with their status. docs/tidy.md says what the columns are.

    where: conditions as of `gapfc compare --where`, such as "head=gap,nin". Raises
    `gapfc.errors.UserError` for a directory that does not exist or holds no run, and for a key or
    value that no run has.
    """
    # By its name: what is below `compare` imports gapfc too, for its version.
    tidy = importlib.import_module("gapfc.compare.tidy")
    return tidy.results(directories or ("outputs",), [where] if isinstance(where, str) else where)
