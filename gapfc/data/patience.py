"""Work on many files: what is going on is said as soon as it takes long."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

from gapfc.system.terminal import leave_if_gone

log = logging.getLogger(__name__)

T = TypeVar("T")

SILENT = 1.0  # seconds
REFRESH = 0.2  # seconds between two states of the bar


def followed(results: Iterable[T], total: int, doing: str) -> Iterator[T]:
    """`results`, of which there are `total`, as they come.

    What takes more than a second shows a bar on a terminal, and elsewhere one line; `doing`: as in
    "decoding 5,000 photos".
    """
    due = time.perf_counter() + SILENT
    terminal, said = sys.stderr.isatty(), False
    bar: tqdm[Any] | None = None
    try:
        for done, result in enumerate(results, 1):
            yield result
            if said or time.perf_counter() < due or done == total:
                continue
            due = time.perf_counter() + REFRESH
            if terminal and not leave_if_gone():
                if bar is None:
                    bar = tqdm(
                        total=total,
                        desc=doing,
                        leave=False,
                        dynamic_ncols=True,
                        mininterval=0,
                        miniters=1,
                        bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left",
                    )
                bar.update(done - bar.n)
            else:
                log.info("%s …", doing)
                said = True
    finally:
        if bar is not None:
            bar.close()
