#!/usr/bin/env python3
"""The tables of docs/evidence.md, from what `gapfc claims` has found.

    python scripts/evidence.py [scripts/results/claims/claims.json]

Rewrites, below the heading of each claim, what stands between `<!-- measured: FILE -->` and the
next empty line: the verdict with its reason, and below it a table of the contrast that decides and
the controls. What stands around them is written by hand.
"""

import json
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/evidence.md"
RECORD = "scripts/results/claims/claims.json"


def effect(answer: dict) -> str:
    """The estimate with its interval, in the contrast's unit."""
    if answer["mean"] is None or answer["interval"] is None:
        return "–"
    mean, (low, high) = answer["mean"], answer["interval"]
    match answer["unit"]:
        case "factor":
            shown = [f"{math.exp(value):.3g}×" for value in (mean, low, high)]
        case "points":
            shown = [f"{100 * value:+.1f}" for value in (mean, low, high)]
        case _:
            shown = [f"{value:+.3f}" for value in (mean, low, high)]
    number, low, high = (text.replace("-", "−") for text in shown)
    return number if low == high else f"{number} [{low}, {high}]"


def row(answer: dict, deciding: bool) -> str:
    """Of the table of a claim."""
    name = f"**{answer['name']}**" if deciding else answer["name"]
    pair = f"{answer['of']} − {answer['against']}"
    if answer["unit"] == "factor":
        pair = f"{answer['of']} / {answer['against']}"
    elif answer["against_metric"] and answer["of"] == answer["against"]:
        pair = answer["of"]
    shows = answer["shows"] or "decides"
    unit = {"points": "points", "factor": "", "value": ""}.get(answer["unit"], answer["unit"])
    return f"| {name} | {pair} | {effect(answer)} {unit} | {shows} |".replace("  ", " ")


def section(claim: dict) -> list[str]:
    """The verdict, and its table."""
    rows = [row(answer, True) for answer in claim["primary"]]
    rows += [row(answer, False) for answer in claim["controls"]]
    return [
        f"**{claim['verdict']}** on {claim['data']}: {claim['why']}.",
        "",
        f"<!-- measured: {RECORD} -->",
        "| contrast | what with what | difference [95%] | what it shows |",
        "|:--|:--|:--|:--|",
        *rows,
    ]


def main() -> None:
    """Rewrite the page."""
    found = json.loads((ROOT / (sys.argv[1:] or [RECORD])[0]).read_text("utf-8"))
    page = PAGE.read_text("utf-8")
    for claim in found["claims"]:
        heading = re.search(rf"^### {claim['number']}\. .*$", page, re.M)
        if heading is None:
            sys.exit(f"{PAGE} has no heading for claim {claim['number']}")
        begin = page.index("<!-- measured:", heading.end())
        first = page.index("\n\n", begin)  # behind the verdict, then behind the table
        end = page.index("\n\n", first + 2)
        marked = f"<!-- measured: {RECORD} -->\n" + "\n".join(section(claim))
        page = page[:begin] + marked + page[end:]
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
