"""Images, once on each machine: what the first process of another than rank 0's shares."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from gapfc.data.resident import Resident
from gapfc.data.shared_images import MEMORY, taken
from gapfc.experiment.one_machine import shared_here, sharing_here
from gapfc.ranks.ranks import Ranks
from gapfc.ranks.team import Team

ELSEWHERE = {"train": "/dev/shm/gapfc-of-another-machine/train.pt"}


class Decodes:
    """A loader of one split of photos."""

    def __init__(self):
        images = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 2, 2)
        self.splits = {"train": Resident(images, torch.tensor([0]), torch.tensor([0]))}
        self.read = []

    def reader(self, split):
        self.read.append(split)
        return self.splits[split]

    def kept(self):
        return self.splits


@pytest.fixture
def ranks():
    """`ranks(number, images)`: the team as that rank sees it."""
    store = dist.HashStore()
    return lambda number, images=ELSEWHERE: Team(Ranks(number, 4), False, store, 1, dict(images))


@pytest.mark.skipif(not MEMORY.is_dir(), reason="needs /dev/shm")
def test_the_first_of_another_machine_decodes_for_all_there(ranks, monkeypatch):
    loader = Decodes()
    experiment = SimpleNamespace(loader=loader)
    assert shared_here(ranks(2)) == {}  # LOCAL_RANK is not set: it decodes itself
    with sharing_here(ranks(2), experiment):
        monkeypatch.setenv("LOCAL_RANK", "1")
        files = shared_here(ranks(3))
        found = taken(files["train"], torch.device("cpu"))
        assert torch.equal(found.images, loader.splits["train"].images)
        with sharing_here(ranks(3), SimpleNamespace(loader=None)):
            pass  # nothing to share
    assert loader.read == ["train"]
    assert not Path(files["train"]).exists()


def test_where_nothing_can_be_shared_each_decodes(ranks, monkeypatch):
    monkeypatch.setattr("gapfc.data.shared_images.MEMORY", Path("/nowhere"))
    with sharing_here(ranks(2), SimpleNamespace(loader=Decodes())):
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert shared_here(ranks(3)) == {}


def test_on_the_machine_of_rank_0_its_files_are_taken(ranks):
    with tempfile.NamedTemporaryFile() as file:
        there = {"train": file.name}
        assert shared_here(ranks(1, there)) == there
        with sharing_here(ranks(1, there), SimpleNamespace(loader=None)):
            pass
    with sharing_here(None, SimpleNamespace(loader=None)):
        pass
