"""The processes that are started together for one run: by torchrun or Slurm, or here.

Nothing here imports torch, so that processes that are started here load it at the same time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from gapfc.errors import UserError
from gapfc.formatting import plural
from gapfc.system.cores import usable_cores

PORT = "GAPFC_PORT"  # set for a process that was started here, whose orders come by standard input

# Not `-m gapfc`, which would look for modules in the working folder first: it may be a stranger's.
_PROGRAM = (
    "import sys; sys.path[:] = [path for path in sys.path if path]; "
    "from gapfc.cli.main import main; main()"
)
LOST = 75  # exit code of a process that ends because another has
_GRACE = 2.0  # seconds in which such a process may end by itself

_children: dict[int, subprocess.Popen[bytes]] = {}
leaving: list[Callable[[], None]] = []  # called before processes that were started are replaced


def launched() -> int:
    """How many processes were started together, by torchrun's variables; 0: only this one."""
    size = os.environ.get("WORLD_SIZE", "")
    return int(size) if "RANK" in os.environ and size.isdigit() and int(size) > 1 else 0


def follows() -> bool:
    """Whether this process is one of several, and not the first."""
    return launched() > 0 and os.environ["RANK"] != "0"


def launched_here() -> int:
    """How many processes of a run are on this machine: started here, or by torchrun's variables."""
    if _children:
        return len(_children) + 1
    size = os.environ.get("LOCAL_WORLD_SIZE", "")
    return int(size) if launched() and size.isdigit() and int(size) > 1 else 1


def by_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and PORT not in os.environ


def by_submitit() -> bool:
    """Whether this process is a task of a job of submitit."""
    return "SUBMITIT_EXECUTOR" in os.environ


def adopt_tasks() -> bool:
    """Take the tasks of a job of submitit for processes started together, by torchrun's variables.

    That is what `tasks_per_node` above 1 makes of a run. Returns whether there are several.
    """
    if not by_submitit() or launched():
        return False
    from submitit import JobEnvironment
    from submitit.helpers import TorchDistributedEnvironment

    if JobEnvironment().num_tasks == 1:
        return False
    # Each takes its GPU by its local rank; the others stay visible, as under torchrun.
    TorchDistributedEnvironment().export(overwrite=True, set_cuda_visible_devices=False)
    return True


def start(size: int) -> None:
    """Start ranks 1 to `size` - 1 beside this process, which is rank 0; nothing if they are there.

    They end when it does, however it ends: their standard input does. Raises UserError for more
    than there are cores.
    """
    cores = len(usable_cores())
    if size > cores:
        raise UserError(
            f"trainer.devices={size}, but this process may use {plural(cores, 'core')}: each "
            "device needs one"
        )
    if len(_children) == size - 1 and all(child.poll() is None for child in _children.values()):
        return
    for leave in leaving:
        leave()
    end()
    for rank in range(1, size):
        variables = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            PORT: "stdin",
        }
        _children[rank] = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "train"],
            stdin=subprocess.PIPE,
            env=os.environ | variables,
            # Ctrl-C is for rank 0, which has them stop after the same step.
            start_new_session=True,
        )


def started() -> bool:
    """Whether this process has started others, which are there."""
    return bool(_children)


def tell(line: str) -> None:
    """Write a line to the standard input of the processes that were started."""
    for child in _children.values():
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # it is gone: whoever waits for it will say so
            child.stdin.write(f"{line}\n".encode())
            child.stdin.flush()


def how_ended(rank: int) -> str | None:
    """How a rank that was started here has ended, if it has and not as it should."""
    child = _children.get(rank)
    code = child.poll() if child is not None else 0
    if not code or code == LOST:
        return None
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL; out of memory?)"
    if code < 0:
        return f"was killed ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"


def end(wait: bool = True) -> None:
    """End the processes that were started here, if any are left.

    wait: until they have; otherwise they end by themselves, as soon as nobody orders any more.
    """
    for child in _children.values():
        if child.stdin is not None:
            with suppress(BrokenPipeError):
                child.stdin.close()
    for child in _children.values() if wait else ():
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    _children.clear()
