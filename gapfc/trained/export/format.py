"""What the formats have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from gapfc.trained.export.program import Network

Runner: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Format:
    """How a network is written, and run from what was written.

    Attributes:
        name: for people.
        write: (network, facts, any_size) to the content of a file, which stores the facts, and
            takes images of any size or only of that of training. Raises NotExported.
        read: (content, network) to what gives logits `[B, K]` of images as `network` takes them;
            None if what runs such files is not installed.
        runs_in: what `read` runs it in.
        needs: modules that `write` imports and a plain installation may lack.
        takes_images: whether the file is a function; else it is weights alone.
    """

    name: str
    write: Callable[[Network, Mapping[str, str], bool], bytes]
    read: Callable[[bytes, Network], Runner | None]
    runs_in: str
    needs: tuple[str, ...] = ()
    takes_images: bool = True
