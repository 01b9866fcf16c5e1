"""Folders of synthetic runs."""

from pathlib import Path

import pytest
from synthetic import write_run, write_transfer


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
