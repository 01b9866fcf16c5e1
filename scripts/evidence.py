"""The tables and pictures of docs/evidence.md, from what `gapfc claims` wrote.

    python scripts/evidence.py --take outputs/claims             # its record and pictures
    python scripts/evidence.py --take outputs/claims cifar10     # beside others of the same preset
    python scripts/evidence.py                                  # the tables, from all records

In the page a table stands between `<!-- table: 3 -->`, with the claim's number, and `<!-- end -->`;
what is between is written anew.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

from gapfc.formatting import minus

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "evidence.md"
RECORDS = ROOT / "scripts" / "results" / "claims"
PRESETS = ("quick", "part", "full")  # the smallest first
HEAD = (
    "| what was measured | one side | the other | difference | this row alone | measured to see |\n"
    "|:--|:--|:--|:--|:--|:--|"
)
TABLE = re.compile(r"<!-- table: (\d+) -->\n.*?<!-- end -->", re.DOTALL)
# What a network is set against, where that is not another one's same figure.
AGAINST = {
    "probe.clean.accuracy": "at the size of training",
    "probe.cam.untrained": "untrained",
    "probe.cam.chance": "chance",
}
NUMBER = re.compile(r'class="number">(\d+)\.')


def take(outputs: Path, part: str | None) -> None:
    """Copy claims.json, and each claim's picture out of claims.html, as <number>.svg."""
    record = json.loads((outputs / "claims.json").read_text("utf-8"))
    there = RECORDS / (f"{record['preset']}_{part}" if part else record["preset"])
    there.mkdir(parents=True, exist_ok=True)
    lost = {int(old.stem) for old in there.glob("*.svg")} - {c["number"] for c in record["claims"]}
    if lost:
        sys.exit(f"{there} has claims {sorted(lost)}, and {outputs} has not: run them, too")
    for claim in record["claims"]:  # a reader has other folders
        claim["command"] = re.sub(r" output_root=\S+", "", claim["command"])
    text = json.dumps(record, indent=2, ensure_ascii=False)
    (there / "claims.json").write_text(text + "\n", "utf-8")
    page = (outputs / "claims.html").read_text("utf-8")
    colours = re.search(r":root \{[^}]*\}", page)  # the page's own, of its light side
    for section in page.split("<section ")[1:]:
        number, picture = NUMBER.search(section), re.search(r"<svg.*?</svg>", section, re.DOTALL)
        if number and picture and colours:
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


def number(value: float, unit: str) -> str:
    """A difference or an end of its interval, without its unit; factors are logarithms."""
    if unit == "factor":
        factor = math.exp(value)
        if factor < 0.2:
            return f"1/{1 / factor:,.0f}" if factor < 0.1 else f"1/{1 / factor:.1f}"
        return f"{factor:.2f}"
    return minus(f"{100 * value:.1f}" if unit == "points" else f"{value:.2f}")


def difference(contrast: dict) -> str:
    """The mean difference and its interval, over seeds and, where there are some, test images."""
    unit = contrast["unit"]
    if contrast["mean"] is None:
        return "none"
    text = number(contrast["mean"], unit) + {"points": " points", "factor": "×"}.get(unit, "")
    if unit != "factor" and contrast["mean"] > 0:
        text = f"+{text}"
    if contrast["interval"] is None:
        return text
    low, high = (number(end, unit) for end in contrast["interval"])
    return f"{text} \\[{low}, {high}\\]"


def row(contrast: dict, bold: bool) -> str:
    """A line of a table."""
    unit, mark = contrast["unit"], "**" if bold else ""
    names = [contrast["of"], contrast["against"]]
    if contrast["metric"] != contrast["against_metric"]:
        (metric,) = contrast["against_metric"]
        names[1] = AGAINST.get(metric, metric)
    values = [shown(contrast[key], unit) for key in ("value_of", "value_against")]
    runs = contrast["seeds"]
    for side, never in enumerate(contrast["censored"]):
        if never:  # which count with all their steps
            values[side] += f" (reached by {runs - never} of {runs} runs)"
    if contrast["mean"] is None:
        values = ["", ""]
    untested = contrast["verdict_alone"] == "not testable here"
    first_sentence = contrast["why"].partition(". ")[0]
    why = f": {first_sentence}" if untested else ""
    cells = [
        f"{mark}{contrast['name']}{mark}",
        *(f"{name} {value}".strip() for name, value in zip(names, values, strict=True)),
        difference(contrast),
        contrast["verdict_alone"] + why,
        contrast["shows"],
    ]
    return f"| {' | '.join(cells)} |"


def records() -> list[Path]:
    """All that were taken, the smallest preset's first."""
    return [
        record for preset in PRESETS for record in sorted(RECORDS.glob(f"{preset}*/claims.json"))
    ]


def terms(claim: dict) -> list[str]:
    """The margin with its reason, and what the claim's measurement does not show."""
    margin = f"{claim['margin']:g}" + {"points": " points", "factor": "×"}.get(claim["unit"], "")
    margin = margin.replace(" points", " point") if claim["margin"] == 1 else margin
    return [
        "<!-- set: the margin -->",
        f"Margin: {margin}, fixed [beforehand](../configs/claim/{claim['name']}.yaml). "
        f"{claim['reason']} *Limits:* {claim['limits']}",
        "",
    ]


def table(claim_number: int) -> str:
    """All that was measured of a claim, on each kind of images it was measured on."""
    parts: list[str] = []
    for record in records():
        content = json.loads(record.read_text("utf-8"))
        for claim in (each for each in content["claims"] if each["number"] == claim_number):
            parts = parts or terms(claim)
            seeds = max(each["seeds"] for each in claim["primary"])
            covers = f", {seeds} seeds" if seeds > 1 else ""
            comment = f"<!-- measured: {record.relative_to(ROOT)} -->"
            parts += [
                comment,
                f"On {claim['data']} (`preset={content['preset']}`{covers}): "
                f"**{claim['verdict']}** ({claim['decides']}: {claim['why']}).",
                "",
                comment,
                HEAD,
                *(row(each, True) for each in claim["primary"]),
                *(row(each, False) for each in claim["controls"]),
                "",
            ]
    return "\n".join(parts)


def written(page: str) -> str:
    """The page with its tables anew."""

    def anew(found: re.Match[str]) -> str:
        return f"<!-- table: {found[1]} -->\n{table(int(found[1]))}<!-- end -->"

    return TABLE.sub(anew, page)


def main() -> None:
    """Take a record, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--take", nargs="+", metavar=("OUTPUTS", "PART"))
    asked = parser.parse_args()
    if asked.take:
        take(Path(asked.take[0]), asked.take[1] if asked.take[1:] else None)
    else:
        PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
