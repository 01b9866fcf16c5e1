"""What to type once runs have ended: the commands that show what they say."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from gapfc.formatting import from_here
from gapfc.records.identity import GROUPED_BY, SEED, is_identity

RATE = "optimizer.lr"
# What gets a table of its own, and what leads to other settings.
OTHER_TABLES = ("dataset", "dataset.classes", "backbone", "source.dataset", "source.backbone")
LEADS = ("experiment", "sweep", "source", "source.seed")


def next_commands(output_root: str | Path, command: str, swept: Iterable[str] = ()) -> str:
    """Two lines: `gapfc compare …`, which tells apart what was swept over, and `gapfc dashboard …`.

    command: of the runs below `output_root`. swept: keys that a sweep had several values of, as
    they were typed.
    """
    root = from_here(Path(output_root).expanduser())
    keys = dict.fromkeys(key.lstrip("+~") for key in swept)
    known = (*GROUPED_BY.get(command, ()), *OTHER_TABLES, *LEADS, SEED)
    besides = [key for key in keys if key not in known and is_identity(key) and "@" not in key]
    words = ["gapfc", "compare", str(Path(root, command)) if besides else root]
    if besides == [RATE]:
        words += ["--choose", RATE]
    elif besides:
        words += ["--by", ",".join([*GROUPED_BY.get(command, ()), *besides])]
    dashboard = shlex.join(["gapfc", "dashboard", root])
    return f"  differences  {shlex.join(words)}\n  curves       {dashboard}"
