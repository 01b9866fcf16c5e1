"""The page: one HTML file that holds everything and needs no network."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gapfc.compare.answer import Comparison
from gapfc.compare.estimate import BOOTSTRAP_FROM
from gapfc.compare.output.brief import explained
from gapfc.compare.output.columns import Column, shown_columns
from gapfc.compare.output.plots import ANSWER, BY_CLASS, Picture
from gapfc.compare.output.plots.look import COLOURS, GRID, INK, MUTED, PAPER
from gapfc.compare.output.reproduce import commands
from gapfc.compare.output.sentences import covered, findings
from gapfc.compare.row import Row
from gapfc.formatting import percent, plural, printable

# The pictures' colours as page.css names them, so that they follow a dark page.
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"}
VARIABLES |= {colour: f"--c{index}" for index, colour in enumerate(COLOURS)}

FEW = 4  # comparisons that are told in three sentences each; more, in a line


def html_text(comparison: Comparison, pictures: Sequence[Picture]) -> str:
    """The whole page; page.html.j2 says what goes where."""
    shown = shown_columns(comparison)
    pairs = [row.paired for row in comparison.rows if row.paired]
    return (
        templates("gapfc.compare.output")
        .get_template("page.html.j2")
        .render(
            comparison=comparison,
            question=comparison.question,
            metric=comparison.measure,
            by=comparison.by,
            rows=comparison.rows,
            unusable=comparison.unusable,
            others=comparison.found - comparison.compared - len(comparison.unusable),
            seeds=len({seed for row in comparison.rows for seed in row.metric}),
            findings=findings(comparison),
            few=FEW,
            explained=explained(comparison),
            columns=shown,
            best={column: column.best_rows(comparison) for column in shown},
            cell=_cell,
            sort_value=_sort_value,
            answer=[picture for picture in pictures if picture.section == ANSWER],
            sections=_sections(pictures),
            by_class=BY_CLASS,
            inline=inline,
            facts=_facts(comparison),
            covered=covered(comparison),
            methods={pair.interval.method for pair in pairs if pair.interval},
            paired_seeds={pair.n for pair in pairs},
            bootstrap_from=BOOTSTRAP_FROM,
            commands=commands(comparison),
            colours=COLOURS,
            percent=percent,
            plural=plural,
        )
    )


def templates(package: str) -> Environment:
    """The templates of `package`, in which everything is escaped unless it is ours."""
    return Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        finalize=harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def harmless(value: object) -> object:
    """Words without controls of text direction or halves of characters; autoescape does the rest.

    Markup is ours: the SVG.
    """
    return (
        printable(value, 4000)
        if isinstance(value, str) and not isinstance(value, Markup)
        else value
    )


def _sections(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """What comes behind the answer, by section."""
    sections: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.section != ANSWER:
            sections.setdefault(picture.section, []).append(picture)
    return sections


def _cell(column: Column, row: Row) -> str:
    """Its text, in which no interval is broken; a narrow column has it in a line of its own."""
    text = column.text(row)
    if column.is_key:
        return text
    parts = re.split(r" (?=[\[(])", printable(text))
    whole = Markup('<span class="whole">{}</span>')
    return Markup(" ").join(part if part[0] == "(" else whole.format(part) for part in parts)


def _sort_value(column: Column, row: Row) -> str:
    if column.is_key:
        return column.text(row)
    number = column.number(row)
    return "" if number is None or not math.isfinite(number) else repr(float(number))


def _facts(comparison: Comparison) -> dict[str, str]:
    """What was run, as terms and their descriptions."""
    facts = {
        "Runs": f"{comparison.compared} compared of {comparison.found} found",
        "Where": ", ".join(comparison.directories),
        "Filtered by": " and ".join(comparison.question.where) or "nothing",
        "Differs": ", ".join(comparison.by),
        **comparison.constants,
    }
    if comparison.choices:
        keys = ", ".join(comparison.question.choose)
        facts[f"{keys}, chosen on validation"] = "; ".join(
            f"{' '.join(c.values)}: {c.setting} of {' · '.join(c.tried)}"
            for c in comparison.choices
        )
    return facts


def inline(picture: Picture) -> Markup:
    """A picture's SVG for wide and for narrow windows, of which a page shows one."""
    wide = _prepared(picture.wide, picture.name, picture.title)
    narrow = _prepared(picture.narrow, f"{picture.name}-narrow", picture.title)
    return Markup(f'<div class="on-wide">{wide}</div><div class="on-narrow">{narrow}</div>')


def _prepared(svg: str, name: str, title: str) -> str:
    """An SVG prepared for a page with other pictures.

    Without its XML header; colours are the page's variables; ids that something refers to start
    with the picture's name, the others are removed.
    """
    body = svg[svg.index("<svg") :]
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
