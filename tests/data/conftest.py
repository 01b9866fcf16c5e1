"""Composed configurations and small data sets for the tests of gapfc.data."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from gapfc.data.arrays import Arrays
from gapfc.data.dataset import Dataset

CONFIGS = Path(__file__).parents[2] / "configs"
Compose = Callable[..., DictConfig]


@pytest.fixture
def config() -> Iterator[Compose]:
    """`config("dataset=digits", "augment=none")`: the whole train configuration."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield lambda *overrides: compose("train", overrides=list(overrides))


@pytest.fixture
def arrays() -> Callable[..., Dataset]:
    """A data set of random images, the first pixels of which spell the image's number."""

    def make(count: int = 50, channels: int = 1, size: tuple[int, int] = (12, 10)) -> Dataset:
        generator = torch.Generator().manual_seed(count)

        def split(number: int) -> Arrays:
            shape = (number, channels, *size)
            images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
            images[:, :, 0, 0] = torch.arange(number).remainder(256)[:, None].to(torch.uint8)
            return Arrays(images, torch.arange(number) % 3)

        return Dataset(
            "arrays", ("a", "b", "c"), split(count), split(20), split(15), (0.5,) * 3, (0.25,) * 3
        )

    return make


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """train/{cat,dog}: 12 + 8 PNG photos of several sizes; val/{cat,dog}: 3 + 2."""
    random = np.random.default_rng(0)
    for part, counts in (("train", (12, 8)), ("val", (3, 2))):
        for name, count in zip(("cat", "dog"), counts, strict=True):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = (40, 56) if number % 2 else (33, 47)
                pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return tmp_path
