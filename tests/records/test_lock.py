"""The lock of a run directory."""

import os

import pytest

from gapfc.records.lock import Lock


def test_a_lock_is_a_file_of_its_own(tmp_path):
    Lock(tmp_path / ".lock").release()
    assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_neither_a_link_nor_a_pipe_is_taken_for_one(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "link").symlink_to(precious)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=name):
            Lock(tmp_path / name)
    assert precious.read_text() == "kept"
