"""`gapfc compare`: which group is better, by how much, and how sure. Reads runs; needs no torch."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gapfc.compare.answer import Comparison, compare
from gapfc.compare.collect import collect
from gapfc.compare.output.export import csv_text, json_text
from gapfc.compare.output.sentences import covered, sentences, unusable_lines
from gapfc.compare.output.table import markdown, terminal
from gapfc.compare.question import Question
from gapfc.compare.where import apply, parse_condition, split_outside_brackets
from gapfc.errors import UserError
from gapfc.formatting import printable
from gapfc.records.atomic import atomic_write_text

DESCRIPTION = """\
Finds every run below the directories, groups them, and compares each group with a baseline,
paired by seed and by test image: mean difference with its confidence interval over both, p
corrected for the number of comparisons (Holm), and the share of seeds in which the group was
better. What else may explain a difference is named as "Bear in mind". Runs with probes.json have
pictures of it (--html, --out).
"""
EXAMPLES = """\
examples:
  gapfc compare outputs --baseline fc
  gapfc compare outputs --where dataset=digits --where trainer.epochs=12 --target 0.9
  gapfc compare outputs --margin 0.5              (better, worse, equivalent or undecided)
  gapfc compare outputs --metric test.nll --by head,optimizer.lr
  gapfc compare outputs --by head,head.hidden --baseline head=fc,head.hidden=[]
  gapfc compare outputs --choose optimizer.lr     (each head at the rate validation prefers)
  gapfc compare outputs --choose optimizer.lr,head.dropout     (at the best combination)
  gapfc compare outputs/transfer --by source.head,protocol --baseline protocol=scratch
  gapfc compare outputs --html report.html --out comparison

--by, --where and --choose take any key of config.yaml (head.hidden, optimizer.lr, …), and head,
backbone, dataset, command, device, precision, protocol, source.head, source.dataset.
"""


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc compare`."""
    made = argparse.ArgumentParser(
        prog="gapfc compare",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("directories", nargs="+", metavar="DIR", help="where to look for runs")
    made.add_argument(
        "--baseline",
        metavar="GROUP",
        help="what to compare with: a value (fc), or key=value,key=value; default: scratch or fc",
    )
    made.add_argument(
        "--metric",
        default="test.accuracy",
        metavar="PATH",
        help="a number of results.json or probes.json",
    )
    made.add_argument("--by", default="head", metavar="KEYS", help="keys that make a group: head")
    made.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="keep only these runs; KEY=A,B for either, KEY!=A for all others; repeatable",
    )
    made.add_argument(
        "--choose",
        default="",
        metavar="KEYS",
        help="keep each group's runs at the value of KEYS (several: combined) with the best "
        "mean val.accuracy; none at which a seed diverged, and the smaller of two as good",
    )
    made.add_argument("--confidence", type=float, default=0.95, metavar="C", help="0.95")
    made.add_argument(
        "--interval",
        choices=("crossed", "seeds"),
        default="crossed",
        help="what intervals cover; crossed: new seeds and new test images, where each run has "
        "recorded what it said of each image; seeds: new seeds on these test images",
    )
    made.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="the smallest difference that matters, in points for shares, else in the metric's "
        "unit: each comparison is then better, worse, equivalent or undecided",
    )
    made.add_argument(
        "--target",
        type=float,
        metavar="A",
        help="validation accuracy in (0, 1] to reach; default: the highest that half the runs did",
    )
    made.add_argument(
        "--direction", choices=("higher", "lower"), help="which way the metric is better"
    )
    for name, what in (("json", "all numbers"), ("csv", "the table"), ("markdown", "the table")):
        made.add_argument(f"--{name}", metavar="FILE", help=f"write {what}; - for standard output")
    made.add_argument("--html", metavar="FILE", help="write a self-contained page with pictures")
    made.add_argument("--out", metavar="FOLDER", help="write tables, and pictures as PNG and SVG")
    return made


def main(argv: list[str]) -> int:
    """Compares, prints and writes; returns 0 if there was something to compare.

    Raises UserError for anything the user can fix.
    """
    options = parser().parse_args(argv)
    by, chosen = (
        tuple(dict.fromkeys(key for key in split_outside_brackets(keys) if key))
        for keys in (options.by, options.choose)
    )
    question = Question(
        metric=options.metric,
        by=by,
        baseline=options.baseline,
        where=tuple(options.where),
        choose=chosen,
        confidence=options.confidence,
        interval=options.interval,
        margin=options.margin,
        target=options.target,
        direction=options.direction,
    )
    conditions = [parse_condition(text) for text in question.where]
    collection = collect(options.directories)
    found = len(collection.runs) + len(collection.unusable)
    comparison = compare(apply(collection, conditions), question, found)

    to_stdout = "-" in (options.json, options.csv, options.markdown)
    out = sys.stderr if to_stdout else sys.stdout
    bold = out.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((120, 40)).columns if out.isatty() else 120
    print(summary(comparison, width, bold), file=out)
    for target, make in (
        (options.json, json_text),
        (options.csv, csv_text),
        (options.markdown, markdown),
    ):
        if target == "-":
            sys.stdout.write(make(comparison))
        elif target is not None:
            _write(Path(target), make(comparison))
            print(f"Wrote {target}", file=out)
    if options.html is not None or options.out is not None:
        _write_pictures(comparison, options.html, options.out, out)
    for problem in comparison.curves.problems:
        print(_lines([f"Note: {problem}"]), file=out)
    return 0


def summary(comparison: Comparison, width: int = 120, bold: bool = False) -> str:
    """What is printed: the question, what differs, the table, the sentences, what is missing."""
    metric = comparison.measure
    where = " and ".join(comparison.question.where)
    chosen = "" if comparison.baseline_given else " (none was given: --baseline chooses)"
    above = [
        f"{metric.path} ({metric.direction}) by {', '.join(comparison.by)}: "
        f"{comparison.compared} of {comparison.found} runs found{where and f', where {where}'}",
        f"Baseline: {comparison.baseline}{chosen}",
    ]
    if comparison.constants:
        same = ", ".join(f"{key}={value}" for key, value in comparison.constants.items())
        above.append(f"The same for all: {same}")
    above += [f"Bear in mind: {each.sentence}" for each in comparison.confounds]
    above += [f"Note: {note}" for note in comparison.notes]
    below = sentences(comparison)
    missing = unusable_lines(comparison)
    if missing:
        below += ["", *missing]
    table = terminal(comparison, width, bold)
    says = covered(comparison)
    parts = (_lines(above), f"{table}\n{_lines([says])}" if says else table, _lines(below))
    return "\n\n".join(parts)


def _lines(lines: Iterable[str]) -> str:
    """Lines that may quote a stranger's run: its path, its error."""
    return "\n".join(printable(line, 2000) for line in lines)


def _write_pictures(
    comparison: Comparison, html: str | None, folder: str | None, out: TextIO
) -> None:
    # Imported here: matplotlib takes longer to import than the rest of a comparison to compute.
    from gapfc.compare.output.page import html_text
    from gapfc.compare.output.plots import draw, save_all

    pictures = draw(comparison, page=html is not None, files=folder is not None)
    if html is not None:
        _write(Path(html), html_text(comparison, pictures))
        print(f"Wrote {html}", file=out)
    if folder is not None:
        texts = {
            "comparison.json": json_text(comparison),
            "table.csv": csv_text(comparison),
            "table.md": markdown(comparison),
        }
        for name, text in texts.items():
            _write(Path(folder) / name, text)
        with _told_by_path(folder):
            written = save_all(pictures, Path(folder))
        print(f"Wrote {len(texts) + len(written)} files to {folder}", file=out)


def _write(path: Path, text: str) -> None:
    with _told_by_path(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, text)


@contextmanager
def _told_by_path(path: str | Path) -> Iterator[None]:
    """Report a failure to write inside as an error in the user's path."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
