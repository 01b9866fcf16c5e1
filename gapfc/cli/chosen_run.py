"""The run that a command was given, or the newest in the folder that it was given."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gapfc.formatting import from_here, printable_lines

if TYPE_CHECKING:
    from gapfc.records.run import Run


def chosen_run(path: str) -> "Run":
    """The run at `path`; of a folder of runs the newest completed one, which stderr tells.

    Raises UserError where there is none.
    """
    from gapfc.records.run import open_newest

    run = open_newest(path)
    if run.path != Path(path).expanduser().resolve():
        said = f"The newest run of {path}: {from_here(run.path)}\n  {run.in_short}"
        print(printable_lines(said), file=sys.stderr)
    return run
