"""What besides the question may explain a difference between groups, or hide one.

`confounds` of all rows of a table says what stands above it; of a row and its baseline, what
belongs to that comparison.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from gapfc.compare.confound import Confound, against, labels_of
from gapfc.compare.fields import ABSENT, lookup, number, show, value_of
from gapfc.compare.limits import ceiling, two_seeds, unequal_drops
from gapfc.compare.question import Question
from gapfc.compare.recipes import HEAD_RATE, RATE, recipes_of
from gapfc.compare.row import Row
from gapfc.formatting import count, listed
from gapfc.records.run import Run

DATA = ("dataset", "dataset.classes")
# Options that several heads have, with what counts as their absence.
OPTIONS: dict[str, Any] = {"hidden": [], "dropout": 0, "bias": True}
UNEQUAL = 1.5  # head parameters may differ by this factor unsaid
UNEQUAL_EPOCHS = 1.05


def confounds(
    rows: Sequence[Row], question: Question, chosen: Collection[str] = ()
) -> list[Confound]:
    """All that concerns these rows, the weightiest first.

    chosen: keys that each group was given the best of several values of.
    """
    if len(rows) < 2:
        return []
    asked = {*question.by, *chosen}
    found = [
        *_other_images(rows),
        *two_seeds(rows),
        *unequal_drops(rows, question),
        *_feature_map(rows),
        *_same_function(rows),
        *_head_rate(rows, asked),
    ]
    found += [*_rate(rows, asked), *ceiling(rows, question), *_epochs(rows, asked)]
    return [*found, *_options(rows, asked), *_parameters(rows)]


def _other_images(rows: Sequence[Row]) -> Iterator[Confound]:
    """Of groups whose baseline was trained and tested on another data set."""
    data = {
        row.label: [value_of(_run(row), key).replace(ABSENT, "null") for key in DATA]
        for row in rows
    }
    apart = [row for row in rows if row.baseline in data and data[row.label] != data[row.baseline]]
    if apart:
        pairs = listed([f"{row.label} with {row.baseline}" for row in apart[:3]])
        more = f" and {len(apart) - 3} more" if len(apart) > 3 else ""
        yield Confound(
            "images",
            labels_of(apart),
            f"different data sets are compared, not heads on the same images: {pairs}{more}",
            "another data set",
        )


def _feature_map(rows: Sequence[Row]) -> Iterator[Confound]:
    small = [row for row in rows if _is_single(lookup(_run(row).results, "feature_map"))]
    if small and _heads_differ(rows):
        where = "" if len(small) == len(rows) else f" of {listed(labels_of(small))}"
        yield Confound(
            "feature_map",
            labels_of(small),
            f"the feature map{where} is 1×1: on it there is nothing to pool, and every head is fc",
            "a 1×1 feature map",
        )


def _is_single(shape: object) -> bool:
    return isinstance(shape, list) and len(shape) == 3 and shape[1:] == [1, 1]


def _same_function(rows: Sequence[Row]) -> Iterator[Confound]:
    twins: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        run = _run(row)
        function = _function(run)
        if function is not None:
            where = [value_of(run, key) for key in ("dataset", "backbone", "protocol")]
            twins[tuple(where) + function].append(row)
    for alike in twins.values():
        if _heads_differ(alike):
            nin = any(value_of(_run(row), "head") == "nin" for row in alike)
            yield Confound(
                "same_function",
                labels_of(alike),
                f"{listed(labels_of(alike))} are the same function"
                + (": nin with relu=false differs only in where the mean stands" if nin else ""),
                "they are the same function",
            )


def _function(run: Run) -> tuple[str, str] | None:
    """What a head pools by and its hidden layers, for heads that can be equal to another."""
    head, hidden = value_of(run, "head"), value_of(run, "head.hidden")
    if head == "nin":
        linear = value_of(run, "head.relu") == "false" and value_of(run, "head.conv") != "false"
        return ("avg", "[]") if linear else None
    if head == "spp" and value_of(run, "head.levels") == "[1]":
        return value_of(run, "head.pool"), hidden
    pools = {"gap": "avg", "gmp": "max"}
    return (pools[head], hidden) if head in pools else None


def _head_rate(rows: Sequence[Row], asked: Collection[str]) -> Iterator[Confound]:
    factors = {row.label: number(lookup(_run(row).config, HEAD_RATE)) or 1.0 for row in rows}
    by_recipe = RATE not in asked and recipes_of(map(_run, rows))  # told by `_rate`
    if HEAD_RATE not in asked and len(set(factors.values())) > 1 and not by_recipe:
        told = ", ".join(f"{label} {factor:g}" for label, factor in factors.items())
        yield Confound(
            "head_rate",
            tuple(factors),
            f"heads learn at different multiples of optimizer.lr ({HEAD_RATE}): {told}",
            f"{HEAD_RATE} {against(rows, factors, '{:g}'.format)}",
        )


def _rate(rows: Sequence[Row], asked: Collection[str]) -> Iterator[Confound]:
    # A linear probe has no rate.
    rows = [row for row in rows if value_of(_run(row), "protocol") != "linear_probe"]
    rates = {value_of(_run(row), RATE) for row in rows}
    if RATE in asked or not _heads_differ(rows):
        return
    where = "" if "transfer" in _run(rows[0]).results else "see sweep=learning_rate and "
    if recipes := recipes_of(map(_run, rows)):
        recipe = listed(recipes)
        told = ", ".join(f"{row.label} {_rates(_run(row))}" for row in rows)
        yield Confound(
            "rate",
            labels_of(rows),
            f"each head learns at the rate that recipe={recipe} has for it, found on other images: "
            f"{told} ({where}--choose {RATE})",
            f"rates of recipe={recipe}",
        )
    elif len(rates) == 1 and ABSENT not in rates:
        yield Confound(
            "rate",
            labels_of(rows),
            f"one learning rate for all, {rates.pop()}: no rate was chosen for each head "
            f"({where}--choose {RATE})",
            "one learning rate",
        )


def _rates(run: Run) -> str:
    """`0.0001`, or `0.0001 (head ×10)`."""
    factor = number(lookup(run.config, HEAD_RATE)) or 1.0
    return value_of(run, RATE) + ("" if factor == 1 else f" (head ×{factor:g})")


def _epochs(rows: Sequence[Row], asked: Collection[str]) -> Iterator[Confound]:
    # A linear probe is solved for.
    rows = [row for row in rows if value_of(_run(row), "protocol") != "linear_probe"]
    trained = {row.label: mean for row in rows if (mean := row.mean_of("epochs"))}
    if "trainer.epochs" in asked or len(trained) < 2:
        return
    least, most = (end(trained, key=trained.__getitem__) for end in (min, max))
    if trained[most] > UNEQUAL_EPOCHS * trained[least]:
        stopped = any(
            value_of(_run(row), "trainer.early_stopping") not in (ABSENT, "null") for row in rows
        )
        yield Confound(
            "epochs",
            tuple(trained),
            f"not all were trained for equally many epochs{' (early stopping)' if stopped else ''}:"
            f" {least} {trained[least]:.3g}, {most} {trained[most]:.3g} on average",
            f"epochs {against(rows, trained, '{:.3g}'.format)}",
        )


def _options(rows: Sequence[Row], asked: Collection[str]) -> Iterator[Confound]:
    heads: dict[str, dict[str, Any]] = {}
    for row in rows:
        run = _run(row)
        found = {name: lookup(run.config, f"head.{name}") for name in OPTIONS}
        heads[value_of(run, "head")] = {
            name: OPTIONS[name] if value in (ABSENT, None) else value
            for name, value in found.items()
        }
    first, *others = heads.values()
    differ = [
        name
        for name in OPTIONS
        if f"head.{name}" not in asked and any(each[name] != first[name] for each in others)
    ]
    having: dict[str, list[str]] = defaultdict(list)
    for head, options in heads.items():
        given = [f"{n}={show(options[n])}" for n in differ if options[n] != OPTIONS[n]]
        having[", ".join(given)].append(head)
    if differ:
        none = having.pop("", [])
        told = [f"{listed(names)} {_has(names)} {given}" for given, names in having.items()]
        if none:
            told.append(
                f"{listed(none)} {_has(none)} none of {'it' if len(differ) < 2 else 'them'}"
            )
        yield Confound(
            "head_options",
            labels_of(rows),
            f"heads differ in {listed(differ)}, not in their pooling alone: {'; '.join(told)}",
            ", ".join(differ),
        )


def _parameters(rows: Sequence[Row]) -> Iterator[Confound]:
    means = {row.label: row.mean_of("parameters.head") for row in rows}
    sizes = {label: mean for label, mean in means.items() if mean is not None}
    unequal: list[tuple[float, str, str]] = []
    for row in rows:
        if row.baseline in sizes and row.label in sizes:
            least, most = sorted((row.label, row.baseline), key=sizes.__getitem__)
            factor = sizes[most] / sizes[least] if sizes[least] else math.inf
            if sizes[most] and factor >= UNEQUAL:
                unequal.append((factor, least, most))
    if unequal:
        factor, least, most = max(unequal)
        folds = "from none at all"
        if math.isfinite(factor):
            folds = f"up to {factor:,.{0 if factor >= 10 else 1}f}-fold"
        yield Confound(
            "head_parameters",
            tuple(sorted({label for _, *both in unequal for label in both})),
            f"head parameters differ {folds}: {least} {count(sizes[least])}, {most} "
            f"{count(sizes[most])} (head.match_parameters_of makes them equal)",
            f"head parameters {against(rows, sizes, count)}",
        )


def _run(row: Row) -> Run:
    """One run for all: those of a group differ in no more than the seed."""
    return next(iter(row.runs.values()))


def _heads_differ(rows: Sequence[Row]) -> bool:
    return len({value_of(_run(row), "head") for row in rows}) > 1


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
