"""What a rank that is not the first does of a run: its part of each batch, and of measuring."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gapfc.experiment import scores
from gapfc.experiment.calling import have_ready
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.one_machine import sharing_here
from gapfc.ranks import team


class Silence:
    """A `Listener` that nothing is told to: rank 0 has its own."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """See Listener."""

    def sample(self, step: int, scalars: dict[str, float]) -> None:
        """See Listener."""

    def epoch(self, row: dict[str, Any], improved: bool) -> None:
        """See Listener."""


@contextmanager
def closing(experiment: Experiment) -> Iterator[None]:
    """At the end give up the images, and the processes that read them."""
    try:
        yield
    finally:
        experiment.loader.forget()


def take_part(experiment: Experiment) -> None:
    """Do what rank 0 does in `Experiment.fit` and in measuring what comes of it.

    Everything is exchanged in the same order there and here. Raises what rank 0 raises there at the
    same time, as Interrupted, and what only this rank meets.
    """
    ranks = experiment.team_ranks
    with experiment.interruption, closing(experiment):
        with sharing_here(team.current(), experiment):
            experiment.training.load_state_dict(ranks.told(None), experiment.batches.steps)
            ranks.meet()
        experiment.feed.follow()
        have_ready(experiment)
        experiment.ranks = ranks
        experiment.check()
        experiment.train(Silence(), lambda improved, final: None)
        experiment.model.load_state_dict(ranks.told(None))
        experiment.feed.follow()
        measured, _ = scores.measure(experiment)
        scores.fields(experiment, measured)
