"""Run folders in milliseconds, and the dashboard as a user starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gapfc.records.results import build_results
from gapfc.tensorboard.events import TensorBoardLog


def write_run(root: Path, head: str, seed: int, when: int = 0, **changes: Any) -> Path:
    """A run that has ended, as far as the dashboard reads it; changes: of results.json."""
    fields = {
        "command": "train", "dataset": "digits", "backbone": "convnet", "head": head, "seed": seed,
        "overrides": [f"head={head}", f"seed={seed}"], "group": head, "status": "completed",
    }  # fmt: skip
    results = build_results(**(fields | changes))
    parts = [results[name] for name in ("command", "dataset", "backbone", "head")]
    folder = root.joinpath(*parts, f"20261122-0415{when:02d}-s{seed}")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("{}\n")
    (folder / "results.json").write_text(json.dumps(results))
    log = TensorBoardLog(folder)
    log.scalars({"accuracy/val": 0.5}, 1)
    log.close()
    return folder


class Served:
    """A running dashboard. lines: what it has printed to stdout so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        assert process.stdout is not None
        while not (self.lines and "Ctrl-C" in self.lines[-1]):
            line = process.stdout.readline()
            if not line:
                raise AssertionError(f"it ended: {process.wait()} {self.lines} {self.stderr()}")
            self.lines.append(line)
        found = re.search(r"http://\S+/", "".join(self.lines))
        assert found, self.lines
        self.address = found.group()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.load(answer)

    def runs(self) -> set[str]:
        return set(self.get("data/runs"))

    def await_runs(self, expected: set[str], seconds: float = 40) -> None:
        """Until it shows exactly `expected`; fails with what it shows instead."""
        deadline = time.monotonic() + seconds
        while (shown := self.runs()) != expected:
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)

    def stop(self, signum: int = signal.SIGINT) -> int:
        self.process.send_signal(signum)
        return self.process.wait(timeout=30)

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def dashboard(
    *arguments: str | Path, port: int = 0, temporary: Path | None = None
) -> Iterator[Served]:
    """`gapfc dashboard …` until the block ends."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    if temporary is not None:
        environment["TMPDIR"] = str(temporary)
    process = subprocess.Popen(
        [sys.executable, "-m", "gapfc", "dashboard", *map(str, arguments), "--port", str(port)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_hear_ctrl_c,
    )
    try:
        yield Served(process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        finally:
            process.kill()


def _hear_ctrl_c() -> None:
    # A background job of a shell, as CI may be, ignores SIGINT, and so would its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def names(heads: Sequence[str], seeds: Sequence[int]) -> set[str]:
    return {f"digits/convnet/{head} s{seed}" for head in heads for seed in seeds}
