"""Learning-rate schedules: the factor on `optimizer.lr`, as a function of progress.

Each is written in closed form of (step, total), so that nothing needs restoring on resume and a
run may be given more epochs. Only `Plateau` remembers: it listens to the validation accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, pi
from typing import Any, Protocol

from gapfc.validators import is_number, list_of, number, whole


class Schedule(Protocol):
    """What the loop asks of a schedule."""

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor on the learning rate at the (fractional) `epoch` of `epochs`.

        The loop asks for the middle of each step.
        """

    def observe(self, accuracy: float) -> None:
        """Note a validation accuracy, at the end of an epoch."""

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to continue."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""


class Stateless:
    """A schedule that depends on progress alone."""

    def observe(self, accuracy: float) -> None:
        """Nothing to learn from it."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


def _warm_up(epoch: float, warmup_epochs: float) -> float:
    return min(1.0, epoch / warmup_epochs) if warmup_epochs > 0 else 1.0


def _check(warmup_epochs: float, gamma: float = 0.1) -> None:
    number("schedule.warmup_epochs", warmup_epochs, least=0)
    number("schedule.gamma", gamma, above=0, most=1, takes="a factor above 0, at most 1")


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + cos(pi * progress)) / 2


@dataclass
class Constant(Stateless):
    """The same rate throughout, after a linear warm-up."""

    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        _check(self.warmup_epochs)

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor at `epoch` of `epochs`."""
        return _warm_up(epoch, self.warmup_epochs)


@dataclass
class Cosine(Stateless):
    """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5)."""

    warmup_epochs: float = 0.0
    final: float = 0.0

    def __post_init__(self) -> None:
        _check(self.warmup_epochs)
        number("schedule.final", self.final, 0, 1)

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor at `epoch` of `epochs`: 0 to 1 in the warm-up, then 1 to `final`."""
        if epoch < self.warmup_epochs:
            return _warm_up(epoch, self.warmup_epochs)
        rest = max(epochs - self.warmup_epochs, 1e-9)
        return _half_cosine(1.0, self.final, min((epoch - self.warmup_epochs) / rest, 1.0))


@dataclass
class Step(Stateless):
    """Multiplied by `gamma` after each of `milestones`, which are fractions of the run."""

    milestones: Sequence[float] = (0.5, 0.75)
    gamma: float = 0.1
    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        _check(self.warmup_epochs, self.gamma)
        list_of(
            "schedule.milestones",
            self.milestones,
            lambda milestone: is_number(milestone) and 0 < milestone < 1,
            "fractions of the run between 0 and 1, such as [0.5, 0.75]",
            empty=True,
        )

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor at `epoch` of `epochs`."""
        passed = sum(epoch >= milestone * epochs for milestone in self.milestones)
        return _warm_up(epoch, self.warmup_epochs) * self.gamma**passed


@dataclass
class OneCycle(Stateless):
    """Up and down once, both in half a cosine (Smith & Topin 2018, arXiv:1708.07120)."""

    rise: float = 0.3
    start: float = 0.04
    final: float = 1e-4

    def __post_init__(self) -> None:
        takes = "a fraction of the run, between 0 and 1"
        number("schedule.rise", self.rise, above=0, below=1, takes=takes)
        number("schedule.start", self.start, 0, 1)
        number("schedule.final", self.final, 0, 1)

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor at `epoch` of `epochs`: from `start` to 1 at `rise`, then to `final`."""
        progress = epoch / epochs
        if progress < self.rise:
            return _half_cosine(self.start, 1.0, progress / self.rise)
        return _half_cosine(1.0, self.final, (progress - self.rise) / (1 - self.rise))


@dataclass
class Plateau:
    """Multiplied by `gamma` after more than `patience` epochs without a better validation."""

    gamma: float = 0.1
    patience: int = 3
    warmup_epochs: float = 0.0
    _state: dict[str, Any] = field(
        default_factory=lambda: {"best": -1.0, "waited": 0, "cuts": 0}, init=False
    )

    def __post_init__(self) -> None:
        _check(self.warmup_epochs, self.gamma)
        whole("schedule.patience", self.patience, least=0, takes="epochs, 0 or more")

    def factor(self, epoch: float, epochs: int) -> float:
        """Factor at `epoch`, as observed so far."""
        return _warm_up(epoch, self.warmup_epochs) * self.gamma ** self._state["cuts"]

    def observe(self, accuracy: float) -> None:
        """Count the epochs without a better accuracy, and cut the rate when they are too many."""
        state = self._state
        if accuracy > state["best"]:
            state.update(best=accuracy, waited=0)
            return
        state["waited"] += 1
        if state["waited"] > self.patience:
            state.update(waited=0, cuts=state["cuts"] + 1)

    def state_dict(self) -> dict[str, Any]:
        """Best accuracy, epochs waited, cuts made."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self._state = dict(state)
