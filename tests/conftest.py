"""What all tests share: few threads, real data where there are some, the command line, runs."""

import os

# Before torch is imported: several test processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import atexit
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import processes
import pytest
from synthetic import write_run, write_transfer
from whole_runs import train, write_photos

# Runs take turns with those of the same test process, and of nobody else.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="gapfc-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def _few_threads() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def _subnormal_numbers() -> None:
    """A run in this process makes them 0, and Hypothesis draws them."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["GAPFC_CACHE"] = str(tmp_path_factory.mktemp("cache"))


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


class Cli:
    """`gapfc("train", "head=gap")` as a user runs it, in the fresh folder `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def __call__(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """With `env` in a process started anew, otherwise in a fork that has torch."""
        if env is None:
            done = processes.run(*arguments, folder=self.folder)
            return subprocess.CompletedProcess(arguments, *done)
        environment = {**os.environ, **env}
        environment.pop("HYDRA_FULL_ERROR", None)
        return subprocess.run(
            [sys.executable, "-m", "gapfc", *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            capture_output=True,
            timeout=300,
        )


@pytest.fixture
def gapfc(tmp_path: Path) -> Cli:
    """The command line, in a fresh folder."""
    return Cli(tmp_path / "user")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Four heads on three seeds."""
    for head in ("fc", "gap", "nin", "spp"):
        for seed in range(3):
            write_run(tmp_path / "outputs", head, seed)
    return tmp_path / "outputs"


@pytest.fixture
def transfers(tmp_path: Path) -> Path:
    """Three source heads under four protocols on three seeds."""
    for head in ("fc", "gap", "spp"):
        for protocol in ("scratch", "linear_probe", "finetune", "lp_ft"):
            for seed in range(3):
                write_transfer(tmp_path / "outputs", head, protocol, seed)
    return tmp_path / "outputs"


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run of 8x8 digits, resized to 12x12. Not to be changed."""
    folder = tmp_path_factory.mktemp("digits")
    return train(
        folder, "dataset.image_size=12", "dataset.train_limit=200", "dataset.test_limit=70"
    )


@pytest.fixture(scope="session")
def photos_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run of the photos in `photos`, cropped to 32x24. Not to be changed."""
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder / "photos")
    return train(folder, "dataset=folder", f"dataset.train_dir={folder}/photos",
                 "dataset.test_fraction=0.4", "dataset.image_size=[32,24]",
                 "dataset.resize=crop", "dataset.workers=0")  # fmt: skip


@pytest.fixture(scope="session")
def photos(photos_run: Path) -> Path:
    """The folder of the photos that `photos_run` was trained and tested on."""
    return next(parent / "photos" for parent in photos_run.parents if (parent / "photos").is_dir())
