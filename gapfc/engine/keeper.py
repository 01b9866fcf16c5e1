"""When the checkpoints of a run are written, so that they cost a bounded share of its time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from gapfc.engine import checkpoint

# Of the time of a run, at most: checkpoints that take t seconds to write are written again no
# sooner than 19 t after that. So at most 19 t of training, and an epoch, is lost with a process
# that is killed. Measured on two cores: where a head has 44 million weights (fc on 512 x 13 x 13,
# AdamW), last.pt takes 0.7 to 2 s and 532 MB, and an epoch on kept features less than 1 s.
SHARE = 0.05

State = dict[str, Any]


class Keeper:
    """Writes best.pt and last.pt of a run, always both, so that they belong together.

    Between two writings the weights for best.pt wait in memory, on the CPU. A run that continues
    from an older last.pt trains the same epochs again, and so finds the same best one.

    Args:
        folder: for the checkpoints.
        clock: seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.perf_counter) -> None:
        self._folder = folder
        self._clock = clock
        self._due = float("-inf")  # when the next writing may begin
        self._waiting: State | None = None  # for best.pt

    def keep(
        self, last: Callable[[], State], best: State | None = None, at_once: bool = False
    ) -> None:
        """Write, if that is due; else remember `best`.

        Args:
            last: gives the state for last.pt; called only if it is written.
            best: for best.pt, or None if what it holds, or waits to be written, stays the best.
            at_once: whether to write in any case.
        """
        begun = self._clock()
        if not at_once and begun < self._due:
            if best is not None:
                self._waiting = _copied(best, self._waiting)
            return
        best = best or self._waiting
        # In this order: after a kill in between, the epochs up to this best are trained again. The
        # other way round, last.pt would speak of a best that is nowhere.
        if best is not None:
            checkpoint.save(self._folder / checkpoint.BEST, best)
        checkpoint.save_last(self._folder, last())
        self._waiting = None
        ended = self._clock()
        self._due = ended + (ended - begun) * (1 / SHARE - 1)


def _copied(state: State, into: State | None) -> State:
    """`state`, of which `model` is copied: to the CPU, where possible over the copy in `into`."""
    before: dict[str, Tensor] = into["model"] if into else {}
    model = {
        name: before[name].copy_(value) if name in before else value.detach().to("cpu", copy=True)
        for name, value in state["model"].items()
    }
    return {**state, "model": model}
