"""The git revision, where there is one."""

import shutil
import subprocess

import pytest

from gapfc.records.revision import git_revision

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@needs_git
def test_the_commit_also_from_a_subfolder(tmp_path):
    git(tmp_path, "init", "-q")
    assert git_revision(tmp_path) is None  # no commit yet
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    (tmp_path / "a").mkdir()
    assert git_revision(tmp_path / "a") == git(tmp_path, "rev-parse", "HEAD")


def test_none_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path) is None


def test_none_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision() is None
