"""report.html: one page that holds everything, and that asks nothing of the network."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape

from gapfc.compare.answer import Comparison, Row
from gapfc.compare.metric import Measure
from gapfc.compare.output.page import SCRIPT, STYLE, VARIABLES
from gapfc.compare.output.plots import Picture
from gapfc.compare.output.reproduce import commands
from gapfc.compare.output.sentences import sentences
from gapfc.compare.output.table import Column, best_rows, columns
from gapfc.compare.statistics import BOOTSTRAP_FROM

EXPLAINED = {
    "n": "seeds with a value of the metric",
    "metric": "mean over seeds ± half of Student's interval of that mean",
    "difference": "mean difference to the baseline over the seeds both have, with its interval",
    "p": "two-sided p of the paired t test, corrected for all comparisons of the table (Holm)",
    "P(better)": "share of shared seeds in which the group beats the baseline; a tie counts half",
    "gap": "training accuracy minus test accuracy, in points; smaller overfits less",
    "source": "test accuracy of the sources on their own data",
    "epochs to": "median epochs until the validation accuracy was reached; a run that never did "
    "counts as slower than all others",
    "s to": "the same in seconds of training, without evaluation and start-up",
    "AUC": "area under the validation accuracy curve: its mean over training",
    "head params": "parameters of the head",
    "params": "parameters of backbone and head",
    "MACs": "multiply-accumulates for one image",
    "images/s": "training images a second",
}


def report(comparison: Comparison, pictures: Sequence[Picture]) -> str:
    """The whole page as text."""
    title = f"{comparison.measure.path} by {', '.join(comparison.by)}"
    parts = [
        _header(comparison),
        "<h2>The table</h2>",
        _table(comparison),
        "<h2>Pictures</h2>",
        *map(_picture, pictures),
        _what_was_run(comparison),
        _how_sure(comparison),
        "<h2>To run it again</h2>",
        f"<pre><code>{escape(chr(10).join(commands(comparison)))}</code></pre>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} – gapfc</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(parts)}\n</main><script>{SCRIPT}</script></body></html>\n"
    )


def _header(comparison: Comparison) -> str:
    metric = comparison.measure
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(comparison))
    seeds = sorted({seed for row in comparison.rows for seed in row.metric})
    where = ", ".join(f"{k} {v}" for k, v in comparison.constants.items())
    return (
        f"<h1>Which {escape(' × '.join(comparison.by))}? {escape(metric.path)}</h1>"
        f'<p class="lede">{len(comparison.rows)} groups on {len(seeds)} '
        f"seed{'s' * (len(seeds) != 1)}, compared with <b>{escape(comparison.baseline)}</b>, "
        f"paired by seed; {metric.direction}.</p>"
        + (f'<p class="small">The same for all: {escape(where)}.</p>' if where else "")
        + "".join(f'<p class="small">Note: {escape(note)}.</p>' for note in comparison.notes)
        + f"<ul>{told}</ul>"
    )


def _table(comparison: Comparison) -> str:
    shown = columns(comparison)
    marked = [best_rows(column, comparison.rows) for column in shown]
    head = "".join(
        f'<th scope="col"{_left(column)} title="{escape(EXPLAINED.get(column.name, column.name))}">'
        f"<button>{escape(column.title)}</button></th>"
        for column in shown
    )
    body = []
    for row in comparison.rows:
        cells = []
        for index, (column, best) in enumerate(zip(shown, marked, strict=True)):
            tag = "th" if index == 0 else "td"
            names = " ".join(["l"] * column.left + ["best"] * (row.label in best))
            css = f' class="{names}"' if names else ""
            scope = ' scope="row"' if index == 0 else ""
            value = escape(_sort_value(column, row))
            cells.append(f'<{tag}{scope}{css} data-v="{value}">{escape(column.text(row))}</{tag}>')
        css = ' class="base"' if row.is_baseline else ""
        body.append(f"<tr{css}>{''.join(cells)}</tr>")
    meanings = "".join(
        f"<dt>{escape(column.title)}</dt><dd>{escape(EXPLAINED[column.name])}</dd>"
        for column in shown
        if column.name in EXPLAINED
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
        '<p class="small">A column is sorted by its title. Bold: the best of the column. '
        f"Shaded: baseline.</p>"
        f"<details><summary>What the columns say</summary><dl>{meanings}</dl></details>"
    )


def _left(column: Column) -> str:
    return ' class="l"' if column.left else ""


def _sort_value(column: Column, row: Row) -> str:
    if column.left:
        return column.text(row)
    number = column.number(row)
    return "" if number is None or not math.isfinite(number) else repr(float(number))


def _picture(picture: Picture) -> str:
    return (
        f"<figure><h3>{escape(picture.title)}</h3>"
        f'<div class="wide">{inline(picture.svg, picture.name, picture.title)}</div></figure>'
    )


def inline(drawing: str, name: str, title: str) -> str:
    """An SVG file's text made fit to stand in a page among others.

    Without its XML header; colours are the page's variables, so that it follows a dark page; ids
    that something refers to start with `name`, the others go.
    """
    body = drawing[drawing.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))

    def keep(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r' id="([^"]+)"', keep, body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    # An attribute takes no variable, a style does.
    body = re.sub(r'(fill|stroke)="(var\([^"]+\))"', r'style="\1: \2"', body)
    opening, rest = body.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening)
    opening = opening.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
    return f"{opening}>{rest}"


def _what_was_run(comparison: Comparison) -> str:
    facts = {
        "Runs": f"{comparison.compared} compared of {comparison.found} found",
        "Where": ", ".join(comparison.directories),
        "Filtered by": " and ".join(comparison.question.where) or "nothing",
        "Differs": ", ".join(comparison.by),
        **comparison.constants,
    }
    if comparison.choices:
        key = comparison.choices[0].key
        facts[f"{key}, chosen on validation"] = "; ".join(
            f"{' '.join(c.values)}: {c.chosen} of {', '.join(c.among)}" for c in comparison.choices
        )
    told = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    missing = "".join(
        f"<li>{escape(run.kind)}: <code>{escape(str(run.path))}</code> ({escape(run.reason)})</li>"
        for run in comparison.unusable
    )
    n = len(comparison.unusable)
    listed = (
        f"<details open><summary>{n} run{'s' * (n != 1)} not in the comparison</summary>"
        f"<ul>{missing}</ul></details>"
        if n
        else '<p class="small">No run failed, broke or is unfinished.</p>'
    )
    return f"<h2>What was run</h2><dl>{told}</dl>{listed}"


def _how_sure(comparison: Comparison) -> str:
    confidence = f"{100 * comparison.question.confidence:g}%"
    methods = {
        row.paired.interval.method for row in comparison.rows if row.paired and row.paired.interval
    }
    how = {
        "t": f"Student's t over the paired differences. Below {BOOTSTRAP_FROM} seeds no bootstrap "
        "can hold what it promises: its interval cannot leave the range of the few differences "
        "seen, which misses the centre with probability 2<sup>1−n</sup> (Hesterberg 2015).",
        "bootstrap": "the expanded percentile bootstrap over the paired differences "
        "(Hesterberg 2015), with fixed random numbers.",
    }
    told = " ".join(f"Intervals are {how[method]}" for method in sorted(methods))
    sizes = {row.paired.n for row in comparison.rows if row.paired}
    few = ""
    if sizes and max(sizes) < 2:
        few = "With one seed there is no interval and no p: the differences may be chance. "
    elif sizes and min(sizes) == 2:
        few = "Two seeds give an interval some 13 times their standard error: do not lean on it. "
    return (
        "<h2>How sure</h2>"
        f"<p>Runs of one seed share the backbone's first weights and their batches, so groups are "
        f"compared seed by seed. {told} {few}</p>"
        f"<p>A {confidence} interval covers the spread over seeds on this test set; it does not "
        "cover which images the test set happens to hold, nor whether each group was tuned as well "
        f"as the others. {_direction(comparison.measure)}</p>"
    )


def _direction(metric: Measure) -> str:
    return f"Of {escape(metric.path)}, {metric.direction}."
