"""`gapfc dashboard`: TensorBoard over runs, under short names. Needs no torch."""

import argparse
import signal
import tempfile
import time
from pathlib import Path
from types import FrameType

from gapfc.cli.options import Options
from gapfc.errors import UserError
from gapfc.records.of_claims import CLAIMS
from gapfc.system.interruption import stop_signals
from gapfc.system.terminal import leave_if_gone

DESCRIPTION = """\
Starts TensorBoard over every run below the directories, under names like digits/convnet/gap s0,
and prints its address. New runs appear as they start. Ctrl-C ends it.

  Time Series     accuracy first, pictures last; one colour per head and its settings
  Custom Scalars  mean and 95% interval of every head over its seeds, written to
                  <output_root>/margins when a sweep ends; below, every run
  Images          confusion matrix, class activation maps of right and wrong predictions
  Text            each run's command, config and results
  HParams         one row per group of runs that differ only in seed, with its final scores
"""
EXAMPLES = """\
examples:
  gapfc dashboard
  gapfc dashboard outputs/train/digits elsewhere
  gapfc dashboard --port 0 --host 0.0.0.0      (any free port; reachable from other machines)
"""
PORT = 6006
REFRESH_SECONDS = 5


class _Terminated(Exception):
    """SIGTERM or SIGHUP came."""


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc dashboard`."""
    made = Options("dashboard", DESCRIPTION, EXAMPLES)
    made.add_argument(
        "directories", nargs="*", metavar="DIR", default=["outputs"],
        help="where to look for runs; default: outputs",
    )  # fmt: skip
    made.add_argument(
        "--port", type=int, default=PORT, metavar="N",
        help=f"{PORT}, or the next free one; 0 for any",
    )  # fmt: skip
    made.add_argument(
        "--host", default="localhost", metavar="H",
        help="address to listen on; default: localhost, only reachable from this machine",
    )  # fmt: skip
    return made


def main(argv: list[str]) -> int:
    """Serve until Ctrl-C (returns 0) or SIGTERM (143) or SIGHUP (129).

    Raises UserError if there is nothing to show, or no way to show it.
    """
    options = parser().parse_args(argv)
    if not 0 <= options.port <= 0xFFFF:
        raise UserError(f"--port {options.port}: give a number from 0 to 65535")
    roots = [Path(directory).expanduser() for directory in options.directories]
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a directory: gapfc dashboard takes directories of runs")
    before = {number: signal.signal(number, _terminate) for number in stop_signals()[1:]}
    try:
        with tempfile.TemporaryDirectory(prefix="gapfc-dashboard-") as folder:
            _serve(roots, Path(folder), options.host, options.port)
    except KeyboardInterrupt:
        print("\nThe dashboard has ended.", flush=True)
        return 0
    except _Terminated as stop:
        leave_if_gone()
        return 128 + int(stop.args[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _serve(roots: list[Path], folder: Path, host: str, port: int) -> None:
    from gapfc.dashboard.links import Links
    from gapfc.dashboard.server import free_port, start

    where = ", ".join(map(str, roots))
    links = Links(roots, folder)
    runs = links.refresh()
    if not any(folder.iterdir()):
        raise UserError(
            f"no run below {where}: gapfc train writes them below outputs, or its output_root"
        )
    free = free_port(host, port)
    if port not in (0, free):
        print(f"Port {port} is in use: taking {free}.")
    address = start(folder, f"gapfc: {where}", host, free, REFRESH_SECONDS)
    print(f"TensorBoard over {runs} run{'s' * (runs != 1)} of {where}: {address}")
    if links.left_out:
        folders = " ".join(str(root / CLAIMS) for root in roots if (root / CLAIMS).is_dir())
        print(f"Runs of gapfc claims are left out: gapfc dashboard {folders} shows them.")
    print("Ctrl-C ends it.", flush=True)
    while True:
        time.sleep(REFRESH_SECONDS)
        links.refresh()


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise _Terminated(signum)
