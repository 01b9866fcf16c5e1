"""The processors that this process may use."""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores(cgroups: Path = _CGROUPS) -> tuple[int, ...]:
    """Numbers of the processors, as the system has them: by affinity, no more than the quota.

    cgroups: where Linux shows the limits of a container.
    """
    if hasattr(os, "sched_getaffinity"):
        numbers = sorted(os.sched_getaffinity(0))
    else:  # neither on macOS nor on Windows
        numbers = list(range(os.cpu_count() or 1))
    quota = _quota(cgroups)
    return tuple(numbers if quota is None else numbers[:quota])


def _quota(cgroups: Path) -> int | None:
    """Processors' worth of time that the container has, rounded up; None without a limit."""
    try:
        if (cgroups / "cpu.max").exists():  # version 2
            limit, period = (cgroups / "cpu.max").read_text().split()
        else:
            limit, period = (
                (cgroups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
        microseconds, of = int(limit), int(period)  # "max", or -1: no limit
    except (OSError, ValueError):
        return None
    return max(1, -(-microseconds // of)) if microseconds > 0 and of > 0 else None
