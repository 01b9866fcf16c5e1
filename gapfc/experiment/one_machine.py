"""Images that are kept: once on each machine of a run, in memory that its processes share.

Rank 0 shares what it has read, and says where (`call_others`). Where that is another machine,
the first process of this one does it in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from gapfc.data.loader import Loader
from gapfc.data.shared_images import SharedImages
from gapfc.ranks.team import Team


class Reads(Protocol):
    """What an `Experiment` is to this."""

    loader: Loader


def shared_here(team: Team) -> dict[str, str]:
    """Files of the splits that this process need not read; for the first of a machine, none.

    Waits, where rank 0 is on another machine, for the first process of this one.
    """
    if _are_here(team.images):
        return team.images
    return {} if team.is_first_here else team.told_here()


@contextmanager
def sharing_here(team: Team | None, experiment: Reads) -> Iterator[None]:
    """Where this is the first process of another machine than rank 0's, share what it reads.

    To be left when all have read it.
    """
    if team is None or _are_here(team.images) or not team.is_first_here:
        yield
        return
    images = SharedImages()
    try:
        for split in team.images:
            experiment.loader.reader(split)
        images.put(experiment.loader.kept())
        team.tell_here(images.files)
        yield
    finally:
        images.remove()


def _are_here(files: Mapping[str, str]) -> bool:
    return all(Path(file).exists() for file in files.values())
