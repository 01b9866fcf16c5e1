"""The store of maps: found again, never more than the limit, never a damaged one."""

import errno
import json
import os

import numpy as np
import pytest

from gapfc.features import store as stores
from gapfc.features.store import GIB, Layout, Store, cache_folder

OF = {"dataset": "digits", "split": "train", "view": None}


def numbers(seed=0, rows=3):
    return np.random.default_rng(seed).random((rows, 2, 4, 5), dtype=np.float32)


def keep(store, of=OF, array=None, places=None):
    array = numbers() if array is None else array

    def write(writer):
        for row in array:
            writer.write(row.data)
        rows = list(range(len(array))) if places is None else places
        return Layout(array.shape, "float32", True, rows)

    return store.keep(of, write)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache", GIB)


def test_what_is_kept_is_found_by_what_it_is_of_and_by_nothing_else(store):
    assert store.find(OF) is None
    keep(store, places=[4, 0, 9])
    found = store.find(OF)
    assert found is not None
    assert (found.shape, found.number, found.channels_last) == ((3, 2, 4, 5), "float32", True)
    assert (found.places, found.bytes) == ((4, 0, 9), 3 * 2 * 4 * 5 * 4)
    read = np.fromfile(found.maps, np.float32).reshape(found.shape)
    np.testing.assert_array_equal(read, numbers())
    assert store.find({**OF, "split": "val"}) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "maps").write_bytes((path / "maps").read_bytes()[:-4]),
        lambda path: (path / "maps").write_bytes(b"\1" + (path / "maps").read_bytes()[1:]),
        lambda path: (path / "maps").unlink(),
        lambda path: (path / "entry.json").write_text("{"),
        lambda path: (path / "entry.json").unlink(),
        lambda path: change(path, format=2),
        lambda path: change(path, shape=[3, 2, 4]),
        lambda path: change(path, shape=[-3, -2, 4, 5]),
        lambda path: change(path, number="float64"),
        lambda path: change(path, places=[0, 1]),
        lambda path: change(path, places="abc"),
        lambda path: change(path, of={**OF, "network": "another"}),
        lambda path: change(path, channels_last=1),
        lambda path: change(path, crc="0"),
    ],
)
def test_a_damaged_entry_is_never_used_and_made_again(store, damage):
    entry = keep(store)
    damage(entry.path)
    assert store.find(OF) is None
    keep(store)
    assert store.find(OF) is not None


def change(path, **fields):
    about = json.loads((path / "entry.json").read_text())
    (path / "entry.json").write_text(json.dumps({**about, **fields}))


def test_a_full_disk_leaves_nothing(store):
    def write(writer):
        writer.write(numbers()[0].data)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.keep(OF, write)
    assert store.find(OF) is None
    assert list(store.folder.iterdir()) == []


def test_what_was_not_used_for_longest_makes_room(store):
    made = [keep(store, {"split": str(number)}) for number in range(3)]
    for number, entry in enumerate(made):
        os.utime(entry.path / "entry.json", (number, number))
    store.find({"split": "0"})  # now the latest
    store.limit = 3 * made[0].bytes
    store.make_room(made[0].bytes)
    assert [store.find({"split": str(number)}) is not None for number in range(3)] == [
        True, False, True
    ]  # fmt: skip
    store.make_room(store.limit)
    assert store.entries() == []


def test_one_process_at_a_time_computes(store, monkeypatch):
    monkeypatch.setattr(stores, "_WAIT", 0.001)
    told = []

    class Busy:
        tries = 0

        def __init__(self, path):
            Busy.tries += 1
            if Busy.tries < 4:
                raise stores.UserError("another process")

        def release(self):
            Busy.tries = -1

    monkeypatch.setattr(stores, "Lock", Busy)
    with store.alone(lambda: told.append("waiting"), lambda: told.append("checked")):
        assert told == ["waiting", "checked", "checked", "checked"]
    assert Busy.tries == -1


def test_clear_removes_all_and_a_link_is_not_followed(store, tmp_path):
    entry = keep(store)
    (store.folder / f".{entry.path.name}.123.tmp").mkdir()
    store.clear()
    assert not store.folder.exists()
    precious = tmp_path / "precious"
    (precious / "file").mkdir(parents=True)
    store.folder.symlink_to(precious)
    store.clear()
    assert (precious / "file").exists()


def test_clear_leaves_what_is_not_its_own_and_what_is_being_made(store, monkeypatch):
    entry = keep(store)
    (store.folder / "mine").mkdir()
    (store.folder / "mine" / "notes.txt").write_text("precious")
    making = store.folder / f".{entry.path.name}.123.tmp"
    with store.alone(lambda: None, lambda: None):
        making.mkdir()
        # Locks are between processes: in this one, a second would succeed.
        monkeypatch.setattr(stores, "Lock", refused)
        store.clear()
        assert making.is_dir()
        monkeypatch.undo()
    store.clear()
    assert [path.name for path in store.folder.rglob("*")] == ["mine", "notes.txt"]


def refused(path):
    raise stores.UserError(f"{path} is being written by another process")


def test_what_a_killed_run_left_and_what_is_damaged_is_removed_by_the_next(store):
    entry, other = keep(store), keep(store, {"split": "other"})
    making = store.folder / f".{entry.path.name}.123.tmp"
    making.mkdir()
    with store.alone(lambda: None, lambda: None):
        assert not making.exists()
        change(other.path, format=0)
        store.make_room(0)
    assert [path.name for path in store.folder.iterdir() if path.is_dir()] == [entry.path.name]


def test_the_default_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GAPFC_CACHE", str(tmp_path / "own"))
    assert cache_folder(None) == tmp_path / "own"
    assert cache_folder("elsewhere").name == "elsewhere"
    monkeypatch.delenv("GAPFC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / "gapfc"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder(None) == tmp_path / "home" / ".cache" / "gapfc"
