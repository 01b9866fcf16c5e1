"""The commands that make the compared runs again, from what each run recorded of its own."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence

from gapfc.compare.collect import Run
from gapfc.compare.comparison import Comparison
from gapfc.compare.fields import flatten, show, value_of

# Where a run went and how it was shown: the reader's own, not part of what was run.
PERSONAL = ("seed", "output_root", "data_root", "resume", "rerun", "trainer.progress")


def commands(comparison: Comparison) -> list[str]:
    """The runs as sweeps, then the comparison: `gapfc train -m head=fc,gap seed=0,1,2`.

    From results.json's `overrides` where the run recorded them: then it is what was typed, but for
    paths. Otherwise from config.yaml: groups by name and every number that is not a path.
    """
    seeds: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in comparison.rows:
        for seed, run in row.runs.items():
            words = (str(run.results.get("command", "train")), *_overrides(run))
            seeds[words].append(seed)
    typed = [
        (command, [*overrides, f"seed={','.join(map(str, sorted(numbers)))}"])
        for (command, *overrides), numbers in seeds.items()
    ]
    lines = []
    for command, told in _joined(typed):
        several = "-m " if any("," in word and "[" not in word for word in told) else ""
        lines.append(f"gapfc {command} {several}{shlex.join(told)}")
    lines.append(compare_command(comparison))
    return lines


def _joined(typed: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Commands that differ in the value of the first override alone, as one: `head=fc,gap`."""
    joined: dict[tuple[str, ...], list[str]] = {}
    apart: list[tuple[str, list[str]]] = []
    for command, words in typed:
        key, _, value = words[0].partition("=")
        if len(words) < 2 or not value or set(value) & set(",[]{}()'\"$ "):
            apart.append((command, words))
        else:
            joined.setdefault((command, key, *words[1:]), []).append(value)
    return [
        (command, [f"{key}={','.join(values)}", *rest])
        for (command, key, *rest), values in joined.items()
    ] + apart


def compare_command(comparison: Comparison) -> str:
    """The `gapfc compare` that made this comparison, without the files it wrote."""
    question = comparison.question
    words = ["gapfc", "compare", *comparison.directories, "--metric", question.metric]
    words += ["--by", ",".join(question.by), "--baseline", comparison.baseline]
    for condition in question.where:
        words += ["--where", condition]
    if question.choose:
        words += ["--choose", question.choose]
    if question.target is not None:
        words += ["--target", f"{question.target:g}"]
    if question.confidence != 0.95:
        words += ["--confidence", f"{question.confidence:g}"]
    if question.interval != "auto":
        words += ["--interval", question.interval]
    if question.direction:
        words += ["--direction", question.direction]
    return shlex.join(words)


def _overrides(run: Run) -> list[str]:
    recorded = run.results.get("overrides")
    if isinstance(recorded, Sequence) and not isinstance(recorded, str):
        return [str(override) for override in recorded if _name(str(override)) not in PERSONAL]
    return _from_config(run.config, run)


def _name(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _from_config(config: Mapping[str, object], run: Run) -> list[str]:
    """Every setting of the resolved configuration, so that defaults changed since do no harm."""
    overrides = []
    for node in ("dataset", "backbone", "head"):
        name = value_of(run, node)
        if isinstance(config.get(node), Mapping):
            overrides.append(f"{node}={name}")
    for leaf, value in flatten(config).items():
        last = leaf.rpartition(".")[2]
        if leaf in PERSONAL or last in ("name", "_target_") or leaf.startswith("hydra"):
            continue
        if isinstance(value, (str, bool, int, float, list)) or value is None:
            overrides.append(f"{leaf}={show(value)}")
    return overrides
