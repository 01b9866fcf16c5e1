"""gapfc's command line in processes of its own, as a shell runs it, without paying for torch.

Importing torch takes seconds. One server process does so, once, and computes nothing; each command
is a fork of it, with its own folder, output, signals and exit code.
"""

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "gapfc.cli.commands.evaluate",
        "gapfc.cli.commands.train",
        "gapfc.cli.launch",
        "gapfc.evaluation.evaluate",
        "matplotlib.backends.backend_agg",
        "sklearn.datasets",
        "torch._inductor",
    ]
)

SECONDS = 120  # longest wait: far above what any command takes, also on a busy machine


def _command(arguments: list[str], folder: Path, out: str, err: str) -> None:
    os.chdir(folder)
    for descriptor, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY)
        os.dup2(file, descriptor)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (for the life of the process)
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 (for the life of the process)
    sys.argv = ["gapfc", *arguments]
    from gapfc.cli.main import main

    try:
        main()
    finally:
        sys.stdout.flush()


@dataclass
class Running:
    """A command that was started; out, err: files with what it has written."""

    process: multiprocessing.process.BaseProcess
    out_file: Path
    err_file: Path

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def wait(self) -> int:
        """The exit code, negative for the signal that ended it."""
        self.process.join(SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"still running after {SECONDS} s: {self.out}{self.err}")
        return self.process.exitcode

    @property
    def out(self) -> str:
        return self.out_file.read_bytes().decode()

    @property
    def err(self) -> str:
        return self.err_file.read_bytes().decode()


_count = 0


def start(*arguments: str, folder: Path, terminal: str | None = None) -> Running:
    """Start `gapfc <arguments>` in `folder`; standard error goes to `terminal` if there is one."""
    global _count
    _count += 1
    # Many threads on small tensors only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Beside the folder: a test may look at all that lies in it.
    out, err = folder.parent / f".out{_count}", folder.parent / f".err{_count}"
    for file in (out, err):
        file.touch()
    paths = (str(out), terminal or str(err))
    process = SERVER.Process(target=_command, args=(list(arguments), folder, *paths))
    process.start()
    return Running(process, out, err)


def run(*arguments: str, folder: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `gapfc <arguments>` in `folder`."""
    command = start(*arguments, folder=folder)
    code = command.wait()
    return code, command.out, command.err


def children_seconds() -> float:
    """CPU time of the child processes that have ended; a busy machine hardly changes it."""
    return sum(os.times()[2:4])


def until(condition, command: Running | None = None):
    """Wait for `condition()` to be true and return it."""
    end = time.monotonic() + SECONDS
    while not (value := condition()):
        if command is not None and command.process.exitcode is not None:
            raise AssertionError(f"ended too early: {command.out}{command.err}")
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)
    return value
