"""`gapfc compare`: which group is better, by how much, and how sure. Reads runs; needs no torch."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gapfc.cli.options import Options
from gapfc.compare.answer import Comparison
from gapfc.compare.collect import Collection, collect
from gapfc.compare.output.export import csv_text, json_text
from gapfc.compare.output.summary import refusal, summary
from gapfc.compare.output.table import markdown, markdown_text
from gapfc.compare.question import Question
from gapfc.compare.strata import Answered, Refused, Stratum, answers
from gapfc.compare.tidy import csv_of_runs, runs_as_rows
from gapfc.compare.where import apply, parse_condition, select, split_outside_brackets
from gapfc.errors import UserError
from gapfc.formatting import plural, printable, wrapped
from gapfc.records.atomic import atomic_write_text
from gapfc.records.identity import GROUPED_BY
from gapfc.records.run_directory import check_not_of_run
from gapfc.system.terminal import print_error

DESCRIPTION = """\
Finds every run below the directories, puts those that differ only in seed into one group, and
compares each group with a baseline, paired by seed and by test image: the mean difference with
its confidence interval, and p corrected for the number of comparisons (Holm). What else may
explain a difference is named as "Bear in mind". Runs of another command, data set or backbone
have a table of their own. It reads only, and needs neither GPU nor data.
"""
EXAMPLES = """\
examples:
  gapfc compare outputs                           a table for each kind of run, against fc
  gapfc compare outputs --html report.html        a page with pictures
  gapfc compare outputs --tidy runs.csv           a row per run, for pandas or a spreadsheet
  gapfc compare outputs --baseline gap --where dataset=digits --where head=gap,nin
  gapfc compare outputs --margin 0.5              is a head better, worse or equivalent?
  gapfc compare outputs --metric test.nll         any number of results.json or probes.json:
                                                  test.ece, macs.total, probe.shift.zero.4.drop
  gapfc compare outputs --by head,optimizer.lr    a group for each head at each rate
  gapfc compare outputs --choose optimizer.lr     each head at the rate that validation prefers
  gapfc compare outputs --by head,head.hidden --baseline 'head=fc,head.hidden=[]'

KEY is any key of config.yaml (head.hidden, optimizer.lr, trainer.epochs, …), or head, backbone,
dataset, command, device, precision, protocol, source.head, source.dataset.
"""


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc compare`."""
    made = Options("compare", DESCRIPTION, EXAMPLES, usage="gapfc compare DIR… [options]")
    made.add_argument("directories", nargs="+", metavar="DIR", help="where to look for runs")

    asked = made.add_argument_group("what is compared")
    asked.add_argument(
        "--metric",
        metavar="PATH",
        help="a number of results.json or probes.json; default: test.accuracy, or val.accuracy "
        "where no run has test images",
    )
    asked.add_argument(
        "--by",
        metavar="KEYS",
        help="the keys that make a group, separated by commas; default: head, and "
        "source.head,protocol for transfer runs",
    )
    asked.add_argument(
        "--baseline",
        metavar="GROUP",
        help="the group that the others are compared with: a value (fc), or key=value,key=value; "
        "default: protocol=scratch for transfer runs, else fc, else the first in name order",
    )
    asked.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="keep only these runs; KEY=A,B for either, KEY!=A for all others; repeatable",
    )
    asked.add_argument(
        "--choose",
        default="",
        metavar="KEYS",
        help="keep each group's runs at the value of KEYS (several: combined) with the best "
        "mean val.accuracy (with --metric test.balanced_accuracy: val.balanced_accuracy); none at "
        "which a seed diverged, and the smaller of two as good",
    )

    judged = made.add_argument_group("how it is judged")
    judged.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="the smallest difference that matters, in points for shares, else in the metric's "
        "unit: each comparison is then better, worse, equivalent or undecided",
    )
    judged.add_argument(
        "--target",
        type=float,
        metavar="A",
        help="validation accuracy in (0, 1] to reach, for the epochs and seconds to it; default: "
        "the highest that half of the runs reached",
    )
    judged.add_argument(
        "--confidence", type=float, default=0.95, metavar="C", help="of intervals; default: 0.95"
    )
    judged.add_argument(
        "--interval",
        choices=("crossed", "seeds"),
        default="crossed",
        help="what intervals cover; crossed (default): new seeds and new test images, where each "
        "run has recorded what it said of each image; seeds: new seeds on these test images",
    )
    judged.add_argument(
        "--direction",
        choices=("higher", "lower"),
        help="which way the metric is better; default: what is known of it",
    )

    written = made.add_argument_group(
        "what is written", "FILE may be -, standard output, except for a page."
    )
    written.add_argument("--html", metavar="FILE", help="a self-contained page with pictures")
    written.add_argument("--markdown", metavar="FILE", help="the table, for GitHub")
    written.add_argument("--csv", metavar="FILE", help="the table, numbers in full")
    written.add_argument("--json", metavar="FILE", help="all numbers, sentences and notes")
    written.add_argument(
        "--tidy",
        metavar="FILE",
        help="a row per run as CSV, with its settings and all that it measured, also of runs that "
        "failed (in Python: gapfc.results)",
    )
    written.add_argument(
        "--out",
        metavar="FOLDER",
        help="all of these but the page and --tidy; pictures, PNG and SVG",
    )
    return made


def main(argv: list[str]) -> int:
    """Compares, prints and writes; returns 0 if there was something to compare.

    Raises UserError for anything the user can fix.
    """
    options = parser().parse_args(argv)
    question = _question(options)
    conditions = [parse_condition(text) for text in question.where]
    collection = collect(options.directories)
    found = len(collection.runs) + len(collection.unusable)

    to_stdout = "-" in (options.json, options.csv, options.markdown, options.tidy)
    out = sys.stderr if to_stdout else sys.stdout
    if options.tidy is not None:
        _write_tidy(select(collection, conditions), options.tidy, out)
    try:
        chosen = apply(collection, conditions)
        answered, refused = answers(
            chosen, question, found, usual=options.by is None, by_accuracy=options.metric is None
        )
    except UserError as error:
        if options.tidy is None:
            raise
        # Rows of runs were asked for, whether or not those can be compared.
        print_error(error)
        return 0
    _print(answered, refused, out)
    for target, text in (
        (options.json, lambda: json_text(answered, refused)),
        (options.csv, lambda: csv_text(answered)),
        (options.markdown, lambda: markdown_text(answered)),
    ):
        if target is not None:
            _write_or_print(target, text(), out)
    if options.html is not None or options.out is not None:
        for stratum, comparison in answered:
            html, folder = _file_of(stratum, options.html), _folder_of(stratum, options.out)
            _write_pictures(stratum, comparison, html, folder, out)
    for problem in dict.fromkeys(p for _, each in answered for p in each.curves.problems):
        print(f"Note: {printable(problem, 2000)}", file=out)
    return 0


def _question(options: argparse.Namespace) -> Question:
    by, chosen = (
        tuple(dict.fromkeys(key for key in split_outside_brackets(keys) if key))
        for keys in (options.by or "", options.choose)
    )
    return Question(
        metric=options.metric or Question.metric,
        by=GROUPED_BY["train"] if options.by is None else by,
        baseline=options.baseline,
        where=tuple(options.where),
        choose=chosen,
        confidence=options.confidence,
        interval=options.interval,
        margin=options.margin,
        target=options.target,
        direction=options.direction,
    )


def _print(answered: Sequence[Answered], refused: Sequence[Refused], out: TextIO) -> None:
    bold = out.isatty() and "NO_COLOR" not in os.environ
    width = _width(out)
    if len(answered) + len(refused) > 1:
        names = " · ".join(stratum.name for stratum, _ in answered)
        others = " · ".join(each.stratum.name for each in refused)
        told = f"{plural(len(answered), 'table')}: {names}"
        told += f"; not compared: {others}" if others else ""
        print(f"{wrapped(printable(told, 2000), width)}\n", file=out)
    for number, (stratum, comparison) in enumerate(answered):
        print("\n" * bool(number) + summary(comparison, stratum.name, width, bold), file=out)
    for each in refused:
        print(f"\n{refusal(each, width)}", file=out)


def _width(out: TextIO) -> int | None:
    """Of the terminal that `out` is; None for a file or a pipe."""
    return shutil.get_terminal_size((120, 40)).columns if out.isatty() else None


def _write_tidy(collection: Collection, target: str, out: TextIO) -> None:
    rows = runs_as_rows(collection)
    said = f"{plural(len(rows), 'run')}, {plural(len(rows[0]), 'column')}"
    _write_or_print(target, csv_of_runs(rows), out, f" ({said})")


def _file_of(stratum: Stratum, name: str | None) -> str | None:
    """A file for one of several strata: report-transfer.html."""
    if name is None or not stratum.name:
        return name
    path = Path(name)
    return str(path.with_name(f"{path.stem}-{stratum.file}{path.suffix}"))


def _folder_of(stratum: Stratum, name: str | None) -> str | None:
    """A folder for one of several strata: comparison/transfer."""
    return name if name is None or not stratum.name else str(Path(name) / stratum.file)


def _write_pictures(
    stratum: Stratum, comparison: Comparison, html: str | None, folder: str | None, out: TextIO
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
            "comparison.json": json_text([(stratum, comparison)]),
            "table.csv": csv_text([(stratum, comparison)]),
            "table.md": markdown(comparison),
        }
        for name, text in texts.items():
            _write(Path(folder) / name, text)
        with _told_by_path(folder):
            written = save_all(pictures, Path(folder))
        print(f"Wrote {len(texts) + len(written)} files to {folder}", file=out)


def _write_or_print(target: str, text: str, out: TextIO, what: str = "") -> None:
    if target == "-":
        sys.stdout.write(text)
    else:
        _write(Path(target), text)
        print(f"Wrote {target}{what}", file=out)


def _write(path: Path, text: str) -> None:
    check_not_of_run(path)
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
