"""The groups' curves as TensorBoard's margin charts want them: mean and interval at each step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from gapfc.compare.collect import collect
from gapfc.compare.curves import Curves, over_seeds
from gapfc.compare.estimate import Array, mean_and_band
from gapfc.compare.fields import ABSENT, show, value_of
from gapfc.compare.mixtures import SPLIT, settings_of
from gapfc.compare.probe_curves import clean_accuracy, curve, over_runs, probe
from gapfc.errors import UserError
from gapfc.formatting import percent, unique
from gapfc.records.run import Run
from gapfc.tensorboard.margins import Margin

CONFIDENCE = 0.95
ABOUT = f"mean and {percent(CONFIDENCE)} interval over seeds"
# Column of metrics.csv -> title, and the range that an interval is cut to.
CURVES = {
    "val_accuracy": ("accuracy, validation", 0.0, 1.0),
    "val_loss": ("loss, validation", 0.0, math.inf),
}
SHIFTS = {"zero": "black moving in", "circular": "wrapped around"}
# What curves in one chart have to share: what is measured on what. Everything else is in a name.
SHARED = ("dataset", "backbone")
OF_SOURCE = ("source.dataset", "source.backbone")
MOST_NAMED = 4  # settings in the name of a group

Settings = dict[str, str]
Key = tuple[tuple[str, str], ...]
# Steps, and at each step the values of the seeds.
Points = tuple[Sequence[float] | Array, Sequence[Sequence[float] | Array]]


def margins(output_root: str | Path) -> list[Margin]:
    """A margin for each group and measure that the runs below `output_root` have a curve of.

    Runs that differ only in seed are a group, groups of one data set and backbone (for transfer:
    also of one source data set) a section. A group's name is its head and what else differs within
    the section. The interval is Student's, of the mean over seeds, cut to the values that the
    measure can take; curves end at the last epoch that every run of the group reached. Empty if
    there is no completed run.
    """
    try:
        runs = collect([output_root]).runs
    except UserError:
        return []
    known: dict[int, Settings] = {}
    sections: dict[Key, dict[Key, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    for run in sorted(runs, key=lambda run: run.when):
        facts = _facts(run, known)
        shared = {k: v for k, v in facts.items() if _is_shared(k)}
        rest = {k: v for k, v in facts.items() if not _is_shared(k)}
        # If a seed was run again, its newest run counts.
        sections[_key(shared)][_key(rest)][run.seed] = run
    titles = _titles([dict(key) for key in sections])
    named = sorted(zip(titles, sections.values(), strict=True), key=lambda item: item[0])
    return [m for title, groups in named for m in _section(title, groups)]


def _facts(run: Run, known: dict[int, Settings]) -> Settings:
    """By what runs are told apart, whatever their seed."""
    if id(run.config) not in known:
        known[id(run.config)] = settings_of(run, (SPLIT,))
    facts = {**known[id(run.config)], "command": show(run.command)}
    for key in ("dataset", "backbone", "head"):
        facts[f"{key}.name"] = show(run.name(key))
    for key in ("protocol", "source.head", *OF_SOURCE, "transfer.source.group"):
        if run.command == "transfer" and (value := value_of(run, key)) != ABSENT:
            facts[key] = value
    return facts


def _is_shared(key: str) -> bool:
    return key in ("command", *OF_SOURCE) or key.partition(".")[0] in SHARED


def _key(facts: Mapping[str, str]) -> Key:
    return tuple(sorted(facts.items()))


def _titles(sections: Sequence[Settings]) -> list[str]:
    """A name for each section, with what else differs where two would have the same."""
    plain = []
    for facts in sections:
        begin = "" if facts["command"] == "train" else f"{facts['command']} "
        source = f"{facts['source.dataset']} → " if "source.dataset" in facts else ""
        plain.append(f"{begin}{source}{facts['dataset.name']}, {facts['backbone.name']}")
    titles: list[str] = []
    for facts, title in zip(sections, plain, strict=True):
        alike = [other for other, name in zip(sections, plain, strict=True) if name == title]
        named = ", ".join([title, *_told(facts, _differing(alike))])
        titles.append(unique(named.replace("/", "∕"), titles))
    return titles


def _section(section: str, groups: Mapping[Key, dict[int, Run]]) -> Iterator[Margin]:
    """The groups are the lines of its charts; protocols have a chart each."""
    facts = [dict(key) for key in groups]
    protocols = list(dict.fromkeys(f["protocol"] for f in facts if "protocol" in f))
    everywhere = {k for k in _differing(facts) if k.partition(".")[0] != "head"}
    everywhere -= {"protocol", "source.head", "transfer.source.group"}
    lines: list[tuple[str, str, dict[int, Run]]] = []
    for own, runs in zip(facts, groups.values(), strict=True):
        protocol = own.get("protocol", "")
        alike = [
            f for f in facts
            if (f["head.name"], f.get("protocol", "")) == (own["head.name"], protocol)
        ]  # fmt: skip
        keys = _differing(alike) | everywhere
        name = " ".join([own["head.name"], *_told(own, keys)]).replace("/", "∕")
        taken = [line for line, other, _ in lines if other == protocol]
        lines.append((unique(name, taken), protocol, runs))
    curves = Curves()
    for title, protocol, points, within in _charts(protocols or [""], curves):
        # In one order, so that a group has one colour in every chart.
        for name, of, runs in sorted(lines, key=lambda line: line[0]):
            if of == protocol and (found := points(list(runs.values()))):
                steps, values = found
                yield _margin((section, name, title), steps, values, within)


def _charts(
    protocols: Sequence[str], curves: Curves
) -> Iterator[tuple[str, str, Callable[[Sequence[Run]], Points | None], tuple[float, float]]]:
    """Title, protocol, what it shows of the runs of a group, and the range of that."""

    def end(protocol: str) -> str:
        return f", {protocol}" if protocol else ""

    for column, (title, *span) in CURVES.items():
        for protocol in protocols:
            points = partial(_over_training, curves=curves, column=column)
            yield title + end(protocol), protocol, points, (span[0], span[1])
    for way, how in SHIFTS.items():
        for protocol in protocols:
            title = f"accuracy over shift in pixels, {how}{end(protocol)}"
            yield title, protocol, partial(_over_shift, way=way), (0.0, 1.0)


def _differing(facts: Sequence[Settings]) -> set[str]:
    keys = {key for each in facts for key in each}
    return {key for key in keys if len({each.get(key) for each in facts}) > 1}


def _told(facts: Settings, keys: set[str]) -> list[str]:
    """Settings as in `lr=0.1`, without what is in the name already."""
    told = [
        f"{_short(key)}={facts[key][:12] if key == 'transfer.source.group' else facts[key]}"
        for key in sorted(keys)
        if key in facts and key.rpartition(".")[2] not in ("name", "_target_")
    ]
    return told[:MOST_NAMED]


def _short(key: str) -> str:
    return "source" if key == "transfer.source.group" else key.rpartition(".")[2]


def _over_training(runs: Sequence[Run], curves: Curves, column: str) -> Points | None:
    found = over_seeds(runs, curves, "step", column)
    return None if found is None else (found[0], list(found[1].T))


def _over_shift(runs: Sequence[Run], way: str) -> Points | None:
    at = over_runs(curve(probe(run, "shift", way), clean_accuracy(run)) for run in runs)
    return (list(at), list(at.values())) if at else None


def _margin(
    names: tuple[str, str, str],
    steps: Sequence[float] | Array,
    values: Sequence[Sequence[float] | Array],
    within: tuple[float, float],
) -> Margin:
    """names: section, group and measure. values: at each step, those of the seeds."""
    band = (numbers.tolist() for numbers in mean_and_band(values, CONFIDENCE, within))
    return Margin(*names, ABOUT, [round(step) for step in steps], *band)
