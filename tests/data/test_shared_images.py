"""Decoded photos that several processes of one machine read from the same memory."""

import errno

import pytest
import torch

from gapfc.data import shared_images
from gapfc.data.resident import Resident
from gapfc.data.shared_images import SharedImages, taken

CPU = torch.device("cpu")


def images():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (5, 3, 4, 6), generator=generator, dtype=torch.uint8)
    return Resident(pixels, torch.arange(5), torch.arange(5) * 2)


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_images, "MEMORY", tmp_path)
    return tmp_path


def test_what_is_put_is_taken_and_stays_when_the_files_are_gone(memory):
    own, expected = images(), images()
    shared = SharedImages()
    shared.put({"train": own})
    found = taken(shared.files["train"], CPU)
    path = shared.files["train"]
    shared.remove()
    assert not list(memory.iterdir())
    assert taken(path, CPU) is None
    for each in (own, found):
        for name in ("images", "labels", "places"):
            assert torch.equal(getattr(each, name), getattr(expected, name)), name


def test_nothing_is_shared_where_there_is_no_room(memory, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    shared = SharedImages()
    shared.put({"train": images()})
    assert shared.files == {}
    assert not list(memory.iterdir())


def test_nothing_is_shared_without_such_memory_or_without_photos(memory, monkeypatch):
    shared = SharedImages()
    shared.put({})
    assert not list(memory.iterdir())
    monkeypatch.setattr(shared_images, "MEMORY", memory / "none")
    shared.put({"train": images()})
    assert shared.files == {}
