"""What all tests share: few threads, real data where there are some, and the command line."""

import os

# Before torch is imported: several test processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True, scope="session")
def _few_threads() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture
def data_root() -> Callable[[str], Path]:
    """`data_root("MNIST")`: the folder GAPFC_DATA, if it holds that; otherwise the test skips."""

    def find(*needed: str) -> Path:
        root = os.environ.get("GAPFC_DATA")
        if not root:
            pytest.skip(f"needs {', '.join(needed) or 'data'} in the folder GAPFC_DATA, not set")
        missing = [name for name in needed if not (Path(root) / name).exists()]
        if missing:
            pytest.skip(f"needs {', '.join(missing)} in GAPFC_DATA={root}")
        return Path(root)

    return find


@pytest.fixture
def gapfc(tmp_path: Path) -> Cli:
    """`gapfc("train", "head=gap")` as a user runs it, in a fresh folder; `gapfc.folder` is it."""

    def run(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
        environment = dict(os.environ, **options.pop("env", {}))  # type: ignore[call-overload]
        environment.pop("HYDRA_FULL_ERROR", None)
        return subprocess.run(
            [sys.executable, "-m", "gapfc", *arguments],
            cwd=run.folder,  # type: ignore[attr-defined]
            env=environment,
            text=True,
            capture_output=True,
            timeout=300,
            **options,  # type: ignore[call-overload]
        )

    run.folder = tmp_path / "user"  # type: ignore[attr-defined]
    run.folder.mkdir()  # type: ignore[attr-defined]
    return run
