"""What `gapfc compare` answers, from the JSON that it writes."""

import json
from pathlib import Path
from typing import Any

from gapfc.cli.commands.compare import main


def answer(path: Path, *options: str, tmp: Path) -> dict[str, Any]:
    """The comparison of the runs below `path`, by way of a file in `tmp`."""
    file = tmp / "answer.json"
    assert main([str(path), "--json", str(file), *options]) == 0
    return json.loads(file.read_text())


def row(found: dict[str, Any], label: str) -> dict[str, Any]:
    """The row of an answer that is called `label`."""
    return next(row for row in found["rows"] if row["label"] == label)
