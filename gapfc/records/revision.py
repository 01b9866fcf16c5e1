"""The git revision that the user's project was at."""

import subprocess
from pathlib import Path


def git_revision(folder: str | Path = ".") -> str | None:
    """The commit checked out in `folder`, or None without git, a repository or a commit."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            timeout=2,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
