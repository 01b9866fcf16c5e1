"""The TEXT tab of a run: its command, its config and its results, as harmless Markdown."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from tensorboard.plugins.text import metadata
from tensorboard.util.tensor_util import make_tensor_proto

from gapfc.formatting import NOTHING, count, duration, printable_lines

LONGEST = 200_000  # characters of a text
WIDTH = 100  # characters of a line of the command
SPLITS = {"train": "training", "val": "validation", "test": "test"}
MEASURES = {"accuracy": "accuracy", "nll": "NLL", "ece": "ECE", "brier": "Brier"}


def text_summary(tag: str, markdown: str) -> Summary:
    """A text as written to events."""
    described = metadata.create_summary_metadata(display_name="", description="")
    described.data_class = DATA_CLASS_TENSOR
    return Summary(
        value=[Summary.Value(tag=tag, metadata=described, tensor=make_tensor_proto([markdown]))]
    )


def fenced(text: str, language: str = "") -> str:
    """`text` as a code block, which nothing in it can end or turn into anything else."""
    shown = printable_lines(text[:LONGEST])
    longest = max((len(ticks) for ticks in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def command_line(words: Sequence[str]) -> str:
    """A command as a shell takes it, broken where TensorBoard would cut it off."""
    lines = [""]
    for word in map(shlex.quote, words):
        if len(lines[-1]) + len(word) > WIDTH and lines[-1]:
            lines.append(" ")
        lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n".join(lines)


def results_table(results: Mapping[str, Any]) -> str:
    """The scores of results.json by split, and the run in a few more numbers."""
    rows = [["", *MEASURES.values()]]
    for split, title in SPLITS.items():
        scores = results[split]
        if scores:
            values = (scores[key] for key in MEASURES)
            rows.append([title, _percent(scores["accuracy"]), *map(_number, list(values)[1:])])
    convergence, parameters = results["convergence"] or {}, results["parameters"]
    gap = (results["generalization_gap"] or {}).get("accuracy")
    facts = {
        "train − test accuracy": NOTHING if gap is None else f"{100 * gap:+.2f} points",
        "head parameters": count(parameters["head"]),
        "all parameters": count(parameters["total"]),
        "epochs": f"{results['epochs']}, best {results['best_epoch']}",
        "training time": duration(results["train_seconds"]),
        "area under the validation curve": _number(convergence.get("area_under_curve")),
    }
    for target, at in (convergence.get("to_accuracy") or {}).items():
        epochs = at["epochs"]
        told = "not reached" if epochs is None else f"{epochs:.2f}"
        facts[f"epochs to {_percent(float(target))} validation accuracy"] = told
    return f"{_table(rows)}\n\n{_table([['', ''], *map(list, facts.items())])}"


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share:.2%}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"
