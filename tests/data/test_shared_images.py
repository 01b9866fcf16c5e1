"""Images that several processes of one machine read from the same memory."""

import errno
from pathlib import Path

import pytest
import torch

from gapfc.data import shared_images
from gapfc.data.loader import Loader
from gapfc.data.resident import Resident
from gapfc.data.settings import LoaderSettings
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


@pytest.mark.parametrize("size", ["native", [8, 8]], ids=["as they are", "resized"])
def test_of_arrays_no_process_keeps_a_copy(arrays, config, size):
    nodes = config(f"dataset.image_size={size}")
    first, other = (Loader(arrays(), LoaderSettings.of(nodes), CPU) for _ in range(2))
    expected = arrays().train.resized((12, 10) if size == "native" else tuple(size))
    first.reader("train")
    shared = SharedImages()
    shared.put(first.kept())
    other.shared = shared.files
    other.reader("train")
    shared.remove()
    for loader in (first, other):
        kept = loader.kept()["train"].images
        assert torch.equal(kept, expected)
        if size == "native":
            assert loader.dataset.train.images.data_ptr() == kept.data_ptr()
    file = mapped(first.kept()["train"].images)
    assert file == mapped(other.kept()["train"].images)
    assert "train.pt" in file


def mapped(images):
    """The file that `images` are mapped from, by Linux's list of what is where in memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(number, 16) for number in line.split()[0].split("-"))
        if first <= images.data_ptr() < last:
            return line.split(maxsplit=5)[5] if len(line.split()) > 5 else ""
    return ""
