"""Faults of the disk: told in a line, with what is kept, and made good by resume."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from processes import run, start, until

from gapfc.errors import UserError
from gapfc.records.atomic import atomic_write_text, remove_leftovers
from gapfc.records.faults import disk_fault
from gapfc.records.results import read_results
from gapfc.records.run_directory import RunDirectory

TINY = ("backbone.widths=[8,8]", "backbone.pool_after=[1,2]", "head=gap", "dataset.train_limit=60",
        "dataset.test_limit=20", "output_root=out", "trainer.device=cpu")  # fmt: skip
CONFIG = {"output_root": "", "seed": 0, **{part: {"name": "x"} for part in
          ("dataset", "backbone", "head")}}  # fmt: skip


@pytest.fixture
def small_disk(tmp_path):
    """`small_disk(kilobytes)`: a folder on a file system of this size; again: another size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def mount(kilobytes):
        how = "remount,size" if mounted else "size"
        command = ["mount", "-t", "tmpfs", "-o", f"{how}={kilobytes}k", "gapfc-test", str(folder)]
        if os.name == "nt" or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small file system can be mounted only by root, on Linux")
        mounted.append(folder)
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def the_run(folder: Path) -> Path:
    (config,) = folder.rglob("config.yaml")
    return config.parent


@pytest.mark.slow
def test_a_full_disk_is_told_in_a_line_and_resume_completes(small_disk):
    disk = small_disk(100)
    command = start("train", *TINY, "trainer.epochs=12", folder=disk)
    assert command.wait() == 1
    assert "Traceback" not in command.out + command.err
    path = the_run(disk)
    assert "No space left on device" in command.out
    assert f"gapfc train resume={path}" in command.out
    assert not list(path.rglob("*.tmp"))
    small_disk(20_000)
    code, out, err = run("train", f"resume={path}", folder=disk)
    assert code == 0, out + err
    code, out, err = run("train", *TINY, "trainer.epochs=12", folder=disk)
    assert code == 0
    first, second = [read_results(p.parent) for p in sorted(disk.rglob("config.yaml"))]
    for key in ("train", "val", "test", "steps", "best_epoch"):
        assert first[key] == second[key], key


def test_a_removed_run_directory_is_told_in_a_line(tmp_path):
    folder = tmp_path / "user"
    folder.mkdir()
    command = start("train", *TINY, "trainer.epochs=2000", folder=folder)
    until(lambda: list(folder.rglob("last.pt")), command)
    path = the_run(folder)
    shutil.rmtree(folder / "out", ignore_errors=True)
    shutil.rmtree(folder / "out", ignore_errors=True)
    assert command.wait() == 1
    assert "Traceback" not in command.out + command.err
    assert f"{path} was removed while its run was at work" in command.out


def test_a_fault_says_what_is_kept(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "No epoch was saved yet" in disk_fault(full, tmp_path, "train")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "previous.pt").touch()
    assert disk_fault(full, tmp_path, "transfer") == (
        f"{tmp_path} cannot be written: No space left on device. Kept: checkpoints/previous.pt. "
        f"Once there is space: gapfc transfer resume={tmp_path}"
    )
    elsewhere = FileNotFoundError(errno.ENOENT, "No such file", "/data/image.png")
    assert disk_fault(elsewhere, tmp_path, "train") is None
    assert disk_fault(ZeroDivisionError(), tmp_path, "train") is None


def test_a_run_that_cannot_write_its_config_leaves_no_folder(tmp_path, monkeypatch):
    directory = RunDirectory.create("train", {**CONFIG, "output_root": tmp_path})

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"config\.yaml cannot be written: No space left"):
        directory.write_config("gapfc train", "a: 1\n")
    assert not directory.path.exists()


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    atomic_write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_in_place(tmp_path):
    reading, writing = os.pipe()
    atomic_write_text(f"/dev/fd/{writing}", "through")
    os.close(writing)
    assert os.read(reading, 100) == b"through"
    os.close(reading)


def test_what_a_kill_left_is_removed_once_the_run_is_owned(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in (".results.json.12.tmp", "checkpoints/.last.pt.345.tmp", ".own.tmp", "a.1.tmp"):
        (tmp_path / name).touch()
    RunDirectory.resume(tmp_path).close()
    assert {p.name for p in tmp_path.rglob("*.tmp")} == {".own.tmp", "a.1.tmp"}
    remove_leftovers(tmp_path / "none")
