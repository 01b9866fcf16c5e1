"""Writes that are whole or absent."""

import os
import subprocess
import sys

import pytest

from gapfc.records.atomic import atomic_write, atomic_write_text


def test_replaces_the_content(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write_text(path, "old\n")
    atomic_write_text(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    atomic_write(path, lambda file: file.write(b"old"))

    def fails(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, fails)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX kill")
def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    program = (
        "import os, sys; from gapfc.records.atomic import atomic_write\n"
        "def die(file): file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
        "atomic_write(sys.argv[1], die)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == -9
    assert path.read_bytes() == b"old"


def test_the_content_is_on_disk_before_the_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (order.append("fsync"), fsync(f)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    atomic_write_text(tmp_path / "a", "x")
    assert order == ["fsync", "replace", "fsync"]


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
def test_a_name_from_a_stranger_leads_nowhere_else(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    mine.chmod(0o600)
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(mine)
    os.mkfifo(pipe)
    for path in (link, pipe):
        atomic_write(path, lambda file: file.write(b"new"), follow=False)
        assert path.read_bytes() == b"new"
        assert not path.is_symlink()
    assert mine.read_text() == "precious"
    atomic_write(mine, lambda file: file.write(b"new"), follow=False)
    assert mine.stat().st_mode & 0o777 == 0o600
