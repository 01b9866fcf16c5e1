"""What must be said above the table: what is the same for all, and what else differs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from scipy import special

from gapfc.compare.choose import Choice
from gapfc.compare.fields import ABSENT, metric_of, value_of
from gapfc.compare.groups import Group, Values
from gapfc.compare.images import Images
from gapfc.compare.metric import Measure
from gapfc.compare.mixtures import execution_notes, splits_vary
from gapfc.compare.row import Row
from gapfc.formatting import count, listed, plural
from gapfc.records.run import Run

CONSTANT = (
    "dataset", "backbone", "head", "source.dataset", "trainer.epochs", "trainer.batch_size",
    "optimizer.lr", "dataset.train_limit", "dataset.shots", "device", "precision",
)  # fmt: skip
# Null if a run never got there.
CENSORED = ("convergence.to_", "transfer.convergence_against_scratch.")


def constants(runs: Sequence[Run], by: Sequence[str]) -> dict[str, str]:
    """Facts that are the same for all runs."""
    facts = {}
    for key in CONSTANT:
        values = {value_of(run, key) for run in runs}
        if key not in by and len(values) == 1 and not values & {ABSENT, "null"}:
            facts[key.removeprefix("trainer.")] = values.pop()
    return facts


def notes(
    groups: Sequence[Group],
    rows: Sequence[Row],
    metric: Measure,
    choices: Sequence[Choice],
    confidence: float,
) -> list[str]:
    """What a reader of the table might wrongly take for granted, one sentence each."""
    runs = [run for group in groups for run in group.runs.values()]
    told = execution_notes(runs)
    if len(rows) == 1:
        told.append("there is one group: train another head to compare it with")
    if any(splits_vary(group.runs.values()) for group in groups):
        told.append("each seed has its own split (dataset.split_seed)")
    if metric.path.startswith("val.") and not any(run.results.get("test") for run in runs):
        told.append(
            "there are no test images: these are validation's, which may have chosen the weights, "
            "and intervals do not hold for new images"
        )
    if metric.assumed:
        other = "lower" if metric.better > 0 else "higher"
        told.append(
            f"{metric.path}: taken as {metric.direction}; --direction {other} says otherwise"
        )
    reruns = [run for group in groups for run in group.reruns]
    if reruns:
        names = ", ".join(str(run.path) for run in reruns[:6])
        more = f", and {len(reruns) - 6} more" if len(reruns) > 6 else ""
        told.append(
            f"{len(reruns)} older run(s) of a seed that was run again do not count: {names}{more}"
        )
    told += [*_few_seeds(rows, confidence), *_missing(rows, metric), *_chosen(choices, rows)]
    return [*told, *_transfer(runs)]


def _few_seeds(rows: Sequence[Row], confidence: float) -> Iterator[str]:
    """That intervals are wide because two seeds say little of the spread between seeds."""
    widths = [row.interval for row in rows if row.n == 2 and row.interval]
    if all(row.n < 3 for row in rows) and any(each.method == "t" for each in widths):
        two, three, five = (_half(n, confidence) for n in (2, 3, 5))
        yield (
            f"2 seeds make wide intervals; at the same spread, 3 would make one over seeds "
            f"{two / three:.1f} times narrower, 5 would {two / five:.1f} times"
        )


def _half(seeds: int, confidence: float) -> float:
    """Half of the width of a mean's interval, in standard deviations."""
    return float(special.stdtrit(seeds - 1, 0.5 + confidence / 2)) / math.sqrt(seeds)


def covered_by_seeds_alone(rows: Sequence[Row], images: Images | None) -> Iterator[str]:
    """Which intervals leave out the test images though images say this metric, and why."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.seeds_alone is not None:
            reasons[row.seeds_alone].append(row.label)
    if images is None or not reasons:
        return
    which = (
        "" if all(row.seeds_alone for row in rows) else f" of {', '.join(chain(*reasons.values()))}"
    )
    told = [reason for reason in reasons if reason != images.missing]
    if images.problems:
        number, (path, why) = len(images.problems), next(iter(images.problems.items()))
        more = f"; and {number - 1} more" if number > 1 else ""
        runs = f"{plural(number, 'run')} did not record what {'it' if number == 1 else 'they'} said"
        told.insert(0, f"{runs} of each ({path}: {why}{more})")
    yield f"intervals{which} do not cover which images were tested: {'; '.join(told)}"


def _missing(rows: Sequence[Row], metric: Measure) -> Iterator[str]:
    for row in rows:
        if row.without_value:
            seeds = ", ".join(map(str, row.without_value))
            biased = " and too good" if metric.path.startswith(CENSORED) else ""
            yield (
                f"{row.label}: {metric.path} has no value for seed {seeds}; its mean is over the "
                f"other {row.n}{biased}"
            )
        if row.not_paired:
            seeds = ", ".join(map(str, row.not_paired))
            yield f"{row.label} and {row.baseline}: seed {seeds} is in one of them only"


def _chosen(choices: Sequence[Choice], rows: Sequence[Row]) -> Iterator[str]:
    """What was chosen for each group, how clear that was, and where a better setting may lie."""
    if not choices:
        return
    keys = ", ".join(choices[0].chosen)
    tried = choices[0].tried
    if any(choice.tried != tried for choice in choices):
        yield f"the groups did not have the same values of {keys} to choose from"
    elif len(tried) == 1:
        yield f"every group had one value of {keys}, {choices[0].setting}: none was chosen"
        return
    else:
        among = (" · " if len(choices[0].chosen) > 1 else ", ").join(tried)
        yield f"every group had the same {len(tried)} values of {keys}: {among}"
    names = {row.values: row.label for row in rows}
    each = "; ".join(f"{names[choice.values]} {_choice(choice)}" for choice in choices)
    yield f"{keys}: chosen for each group by mean {choices[0].metric}: {each}"
    yield from _edges(choices, names)
    for choice in choices:
        yield from _failed(choice, names[choice.values])


def _choice(choice: Choice) -> str:
    """`0.01 of 4 (0.3 points ahead of 0.03)`."""
    text = f"{choice.setting} of {len(choice.tried)}"
    if choice.tied:
        return f"{text} (as good as {listed(choice.tied)}: the more regularised is taken)"
    if choice.ahead is not None:
        points = 100 * choice.ahead
        return f"{text} ({points:.{1 if points >= 0.1 else 2}f} points ahead of {choice.runner_up})"
    return text


def _edges(choices: Sequence[Choice], names: Mapping[Values, str]) -> Iterator[str]:
    edges: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for choice in choices:
        for key, edge in choice.at_edge.items():
            if edge is not None:
                edges[key, choice.chosen[key], edge].append(names[choice.values])
    for (key, value, side), groups in edges.items():
        size, way = ("largest", "more") if side == "highest" else ("smallest", "less")
        yield f"{value} is the {size} {key} tried: {listed(groups)} may want {way}"


def _failed(choice: Choice, name: str) -> Iterator[str]:
    for setting, seeds in choice.failed.items():
        at = setting if len(choice.chosen) > 1 else f"{next(iter(choice.chosen))}={setting}"
        of = f"seed{'s' * (len(seeds) > 1)} {listed([str(seed) for seed in seeds])} diverged"
        if setting == choice.setting:
            yield f"{name} at {at}: {of}, and it was chosen as fewer did than elsewhere"
        else:
            yield f"{name} at {at}: {of}, which rules it out"


def _transfer(runs: Sequence[Run]) -> Iterator[str]:
    """What differs between transfer runs beside the source's head and the protocol."""
    runs = [run for run in runs if "transfer" in run.results]
    trained: dict[str, set[str]] = defaultdict(set)
    accuracy: dict[str, dict[str, float]] = defaultdict(dict)
    sizes: dict[tuple[str, str], dict[str, set[float]]] = defaultdict(lambda: defaultdict(set))
    for run in runs:
        head, protocol = value_of(run, "source.head"), value_of(run, "protocol")
        trained[head].add(value_of(run, "transfer.source.group"))
        seen = metric_of(run, "transfer.source.test_accuracy")
        if seen is not None:
            accuracy[head][value_of(run, "transfer.source.path")] = seen
        size = metric_of(run, "parameters.head")
        if size is not None:
            sizes[head, value_of(run, "dataset")][protocol].add(size)
    for head, ways in sorted(trained.items()):
        if len(ways) > 1:
            yield (
                f"sources under {head} were trained in {len(ways)} ways; "
                f"--where transfer.source.group={min(ways)} keeps one of them"
            )
    means = {head: 100 * sum(each.values()) / len(each) for head, each in accuracy.items()}
    if means and max(means.values()) - min(means.values()) >= 0.1:
        told = ", ".join(f"{head} {mean:.1f}%" for head, mean in sorted(means.items()))
        yield (
            f"the sources differ in accuracy on their own test images ({told}), and what differs "
            "between source heads here may come from that"
        )
    yield from _other_heads(sizes)
    if any(value_of(run, "protocol") == "linear_probe" for run in runs):
        yield "linear_probe is solved for and counts as one epoch: compare its seconds"


def _other_heads(sizes: Mapping[tuple[str, str], Mapping[str, set[float]]]) -> Iterator[str]:
    """Heads that a protocol made smaller. sizes: by head and target, then by protocol."""
    told: set[str] = set()
    for (head, _), by_protocol in sorted(sizes.items()):
        largest = max(max(each) for each in by_protocol.values())
        small = {protocol: each for protocol, each in by_protocol.items() if max(each) < largest}
        if small:
            size = count(max(max(each) for each in small.values()))
            told.add(
                f"under {' and '.join(sorted(small))} the head of {head} is its last layer alone: "
                f"{size} parameters instead of {count(largest)}"
            )
    yield from sorted(told)
