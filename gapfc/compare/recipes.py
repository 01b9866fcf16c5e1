"""Learning rates that a recipe gave to each head: they differ by its word, not by the user's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gapfc.compare.fields import lookup, number
from gapfc.formatting import printable
from gapfc.records.run import Run

RATE, HEAD_RATE = "optimizer.lr", "head.lr_multiplier"
# Of each: where a recipe has it by the name of a head, and where for other heads (configs/recipe).
_GIVEN = {RATE: ("rates", "rate"), HEAD_RATE: ("heads", "head")}


def recipes_of(runs: Iterable[Run]) -> list[str]:
    """The recipes that gave all of these runs their rates, by head; none if another word did.

    A rate that was typed, or two recipes of one name that have other rates.
    """
    found = {_recipe(run) for run in runs}
    names = {recipe[0] for recipe in found if recipe is not None}
    return sorted(names) if len(names) == len(found) else []


def _recipe(run: Run) -> tuple[str, str] | None:
    recipe = run.config.get("recipe")
    if not isinstance(recipe, Mapping) or not isinstance(recipe.get("name"), str):
        return None
    head = str(lookup(run.config, "head.name"))
    for key, (by_head, others) in _GIVEN.items():
        rates = recipe.get(by_head)
        given = rates.get(head) if isinstance(rates, Mapping) else None
        given = recipe.get(others, 1.0) if given is None else given
        if number(given) is None or number(given) != number(lookup(run.config, key)):
            return None
    return printable(recipe["name"], 40), repr(recipe)
