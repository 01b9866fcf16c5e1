"""The learning rate that validation chooses for an arm, from a grid that grows at its edge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gapfc.claims.preset import Preset
from gapfc.compare.choose import Choice, choose
from gapfc.compare.fields import lookup, number
from gapfc.records.run import Run

LR = "optimizer.lr"
EXTENSIONS = 3  # rates beyond the grid that are tried at most


@dataclass(frozen=True)
class Rate:
    """Which rate an arm is trained at.

    Attributes:
        value: None: what the optimiser's config says.
        words: for the reader, such as `0.003, the best of 0.001 to 0.01`.
        obstacle: why a verdict can't rest on it: it lies at the edge of the extended grid.
    """

    value: float | None
    words: str
    obstacle: str = ""


def choose_rate(preset: Preset, run: Callable[[float, int], Run]) -> Rate:
    """The rate of the best mean validation accuracy over the preset's rate_seeds.

    run: gives the run of a rate and seed. Where the best is the lowest or highest tried, and better
    than all others, the grid is extended beyond it, EXTENSIONS times at most.
    """
    rates = list(preset.rates)
    chosen = _chosen(rates, preset, run)
    edge = _edge(chosen)
    while edge and len(rates) < len(preset.rates) + EXTENSIONS:
        beyond = rates[-1] * preset.beyond if edge == "highest" else rates[0] / preset.beyond
        rates = sorted([*rates, float(f"{beyond:.3g}")])
        chosen = _chosen(rates, preset, run)
        edge = _edge(chosen)
    if chosen is None:
        return Rate(None, "none: training diverged at every rate", "training diverged at all rates")
    value = float(chosen.chosen[LR])
    tied = f", tied with {', '.join(chosen.tied)}" if chosen.tied else ""
    diverged = f"; diverged at {', '.join(chosen.failed)}" if chosen.failed else ""
    return Rate(
        value,
        f"{value:g} of {', '.join(chosen.tried)}{tied}{diverged}",
        f"the {edge} rate tried, {value:g}, is the best, also after the grid was extended"
        if edge
        else "",
    )


def usual_rate(runs: Iterable[Run]) -> Rate:
    """What the optimiser's config says, with its number where these runs agree on one."""
    found = {number(lookup(run.config, LR)) for run in runs}
    value = found.pop() if len(found) == 1 else None
    return Rate(None, "the usual rate" if value is None else f"the usual rate, {value:g}")


def _chosen(
    rates: Sequence[float], preset: Preset, run: Callable[[float, int], Run]
) -> Choice | None:
    made = [run(rate, seed) for rate in rates for seed in preset.rate_seeds]
    completed = [each for each in made if each.completed]
    if not completed:
        return None
    failed = [each for each in made if not each.completed]
    _, (choice,) = choose(completed, ("command",), (LR,), failed)
    return choice


def _edge(choice: Choice | None) -> str | None:
    """A tie with a rate further in is no sign that a better one lies beyond."""
    return None if choice is None or choice.tied else choice.at_edge[LR]
