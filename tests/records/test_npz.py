"""Arrays on disk: written as numpy reads them, and read as what they are: a stranger's word."""

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapfc.records import npz
from gapfc.records.npz import read_npz, write_npz


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, content in members:
            made.writestr(name, content)
    return path


def saved(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def header(shape, kind="<i8"):
    buffer = io.BytesIO()
    fields = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)


ARRAYS = {
    "index": np.arange(5),
    "p": np.linspace(0, 1, 7, dtype=np.float32),
    "shift.zero.4.accuracy": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "by_columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "file": np.zeros(0, np.int64),
    "a/../ä\x1b": np.int64([[[3]]]),
}


def test_a_round_trip_and_numpy_reads_the_same(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    found = read_npz(path)
    assert list(found) == list(ARRAYS)
    assert all(same(found[name], array) for name, array in ARRAYS.items())
    assert all(array.flags.writeable for array in found.values())
    with np.load(path, allow_pickle=False) as stored:
        assert all(same(stored[name], array) for name, array in ARRAYS.items())
    np.savez(path, **{"x": ARRAYS["p"]})
    assert same(read_npz(path)["x"], ARRAYS["p"])


def test_writing_is_repeatable_and_refuses_objects(tmp_path):
    one, other = tmp_path / "1.npz", tmp_path / "2.npz"
    write_npz(one, ARRAYS)
    write_npz(other, ARRAYS)
    assert one.read_bytes() == other.read_bytes()
    with pytest.raises(ValueError, match="pickle"):
        write_npz(other, {"x": np.array([{}])})
    assert one.read_bytes() == other.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["1.npz", "2.npz"]


class Trap:
    ran = False

    def __reduce__(self):
        return setattr, (Trap, "ran", True)


PICKLE = saved(np.array([Trap()]), allow_pickle=True)
STRANGE = {
    "pickle": ([("x.npy", PICKLE)], "other things than numbers"),
    "text": ([("x.npy", saved(np.array(["a"])))], "other things than numbers"),
    "fields": ([("x.npy", saved(np.zeros(2, [("a", "<i8")])))], "other things than numbers"),
    "truth": ([("x.npy", saved(np.ones(2, bool)))], "other things than numbers"),
    "too large a shape": ([("x.npy", header((10**15,)))], "not all of one"),
    "beyond all": ([("x.npy", header((10**30, 0)))], "."),
    "negative": ([("x.npy", header((-1, -8)) + bytes(64))], "negative"),
    "data lack": ([("x.npy", saved(np.arange(9))[:-1])], "not all of one"),
    "data left": ([("x.npy", saved(np.arange(9)) + b"x")], "not all of one"),
    "twice": ([("x.npy", saved(np.arange(2)))] * 2, "it has an array twice"),
    "version": ([("x.npy", saved(np.arange(2), version=(2, 0)))], "does not write"),
    "not an array": ([("x.npy", b"hello")], "magic"),
    "empty member": ([("x.npy", b"")], "EOF"),
    "code": ([("x.npy", header((1,)).replace(b"(1,)", b"f()!"))], "header"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", STRANGE)
def test_what_is_strange_is_refused_in_a_line(case, tmp_path):
    members, message = STRANGE[case]
    path = archive(tmp_path / "a.npz", members)
    with pytest.raises(ValueError, match=message) as caught:
        read_npz(path)
    assert not Trap.ran
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(how, tmp_path):
    path = archive(tmp_path / "a.npz", [("x.npy", saved(np.arange(2)))], how)
    with pytest.raises(ValueError, match="compressed as gapfc does not"):
        read_npz(path)


@pytest.mark.parametrize("honest", [True, False])
def test_a_bomb_is_not_unfolded(honest, tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MOST", 2**20)
    size = 30 * 2**20
    path = archive(tmp_path / "a.npz", [("x.npy", bytes(size))])
    if not honest:
        small = (100).to_bytes(4, "little")
        path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), small))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unfolds to more than 1 MiB" if honest else "CRC"):
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()


def test_what_is_no_file_or_too_large_is_not_read(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "a.npz")
    with pytest.raises((ValueError, OSError)):
        read_npz(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="not a regular file"):
            read_npz(tmp_path / "pipe")
    monkeypatch.setattr(npz, "MOST", 2**20)
    (tmp_path / "large").write_bytes(bytes(2**20 + 1))
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_npz(tmp_path / "large")


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"x": np.arange(20), "y": np.arange(3.0)})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="zip file"):
            read_npz(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@pytest.mark.filterwarnings("ignore")
def test_a_flipped_bit_is_refused_or_changes_no_number(place, bit, tmp_path):
    path = tmp_path / "a.npz"
    arrays = {"x": np.arange(20), "y": np.arange(3.0)}
    write_npz(path, arrays)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = read_npz(path)
    except ValueError:
        return
    for array, (name, found_array) in zip(arrays.values(), found.items(), strict=False):
        assert np.array_equal(array, found_array), name
