"""The tables and pictures of docs/evidence.md, from what `gapfc claims` wrote.

    python scripts/evidence.py --take outputs/claims quick   # records and pictures, of a preset
    python scripts/evidence.py                               # the page's tables, from all records

In the page a table stands between `<!-- table: 3 -->`, with the claim's number, and `<!-- end -->`;
what is between is written anew.
"""

import argparse
import json
import math
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "evidence.md"
RECORDS = ROOT / "scripts" / "results" / "claims"
PRESETS = ("quick", "part", "full")  # the smallest first
HEAD = (
    "| what was measured | of | against | difference | by itself | it shows |\n"
    "|:--|:--|:--|:--|:--|:--|"
)
TABLE = re.compile(r"<!-- table: (\d+) -->\n.*?<!-- end -->", re.DOTALL)


def take(outputs: Path, name: str) -> None:
    """Copy claims.json, and each claim's picture out of claims.html, as <number>.svg."""
    there = RECORDS / name
    there.mkdir(parents=True, exist_ok=True)
    shutil.copy(outputs / "claims.json", there)
    page = (outputs / "claims.html").read_text("utf-8")
    colours = re.search(r":root \{[^}]*\}", page)  # the page's own, of its light side
    assert colours is not None
    for section in page.split("<section ")[1:]:
        number = re.search(r'class="number">(\d+)\.', section)
        picture = re.search(r"<svg.*?</svg>", section, re.DOTALL)
        if number and picture:
            alone = picture[0].replace("</style>", colours[0] + "</style>", 1)
            (there / f"{number[1]}.svg").write_text(alone + "\n", "utf-8")


def shown(value: float | None, unit: str) -> str:
    """A mean: shares in %, counts to three digits."""
    if value is None:
        return "none"
    if unit == "points":
        return f"{100 * value:.1f}%"
    if unit == "factor":
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:.2f}"


def signed(value: float, unit: str) -> str:
    """A difference, without its unit: factors are there as logarithms."""
    if unit == "factor":
        factor = math.exp(value)
        return f"1/{1 / factor:,.0f}" if factor < 0.1 else f"{factor:.2f}"
    digits = 1 if unit == "points" else 2
    return f"{100 * value if unit == 'points' else value:+.{digits}f}".replace("-", "−")


def difference(contrast: dict) -> str:
    """The mean difference and its interval, over seeds and, where there are some, test images."""
    unit = contrast["unit"]
    if contrast["mean"] is None:
        return "none"
    name = {"points": " points", "factor": "×"}.get(unit, "")
    text = signed(contrast["mean"], unit) + name
    if contrast["interval"] is None:
        return text
    low, high = (signed(end, unit) for end in contrast["interval"])
    return f"{text} \\[{low}, {high.lstrip('+')}\\]"


def row(contrast: dict, bold: bool) -> str:
    """A line of a table."""
    unit, mark = contrast["unit"], "**" if bold else ""
    sides = [
        f"{contrast[side]} {shown(contrast[value], unit)}"
        for side, value in (("of", "value_of"), ("against", "value_against"))
    ]
    if contrast["metric"] != contrast["against_metric"]:
        sides[1] = f"as trained {shown(contrast['value_against'], unit)}"
    name = f"{mark}{contrast['name']}{mark}"
    cells = [name, *sides, difference(contrast), contrast["verdict_alone"], contrast["shows"]]
    return f"| {' | '.join(cells)} |"


def table(number: int) -> str:
    """All that was measured of a claim, on each kind of images it was measured on."""
    parts = []
    for name in PRESETS:
        record = RECORDS / name / "claims.json"
        if not record.exists():
            continue
        for claim in json.loads(record.read_text("utf-8"))["claims"]:
            if claim["number"] != number:
                continue
            seeds = max(each["seeds"] for each in claim["primary"])
            covers = f", {seeds} seeds" if seeds > 1 else ""
            comment = f"<!-- measured: {record.relative_to(ROOT)} -->"
            parts += [
                comment,
                f"On {claim['data']} (`preset={name}`{covers}): "
                f"**{claim['verdict']}**: {claim['why']}.",
                "",
                comment,
                HEAD,
                *(row(each, True) for each in claim["primary"]),
                *(row(each, False) for each in claim["controls"]),
                "",
            ]
    return "\n".join(parts)


def main() -> None:
    """Take records, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--take", nargs=2, metavar=("OUTPUTS", "PRESET"))
    asked = parser.parse_args()
    if asked.take:
        take(Path(asked.take[0]), asked.take[1])
        return

    def anew(found: re.Match[str]) -> str:
        return f"<!-- table: {found[1]} -->\n{table(int(found[1]))}<!-- end -->"

    PAGE.write_text(TABLE.sub(anew, PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
