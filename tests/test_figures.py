"""Every figure that README and docs show was measured, and its record is in scripts/results.

A comment before a paragraph, list, table or block of code says where its figures are:

    <!-- measured: scripts/results/claims/quick/claims.json scripts/results/speed.json -->

each figure of the block is then a number of one of these files, rounded as it is shown. Of others
the comment says what they are: `<!-- published: source -->`, `<!-- computed: from what -->`,
`<!-- set: what -->` (a default, a limit, a margin) or `<!-- example: of what -->` (made up, to show
a form).
"""

import importlib.util
import json
import math
import re
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMENT = re.compile(r"<!-- (measured|published|computed|example|set): (.+?) -->")
# A decimal fraction, or a number with a unit of what is measured.
FIGURE = re.compile(
    r"(?<![\w.=/^×-])([−+-]?\d+(?:,\d{3})*(?:\.\d+)?)(?: ± (\d+(?:\.\d+)?))?"
    r"( ?%|×(?![\d ]?\d)|[kM](?!\w)"
    r"| s\b| ms\b| minutes?\b| min\b| images/s| times\b| points?\b| MB\b| GB\b)?"
)
SCALES = {"k": 1e-3, "M": 1e-6}
CODE = re.compile(r"`[^`]*`|\]\([^)]*\)|https?://\S+|arXiv:\S+")
CONFIDENCE = re.compile(r"\b9[05]% (?:confidence )?interval|\[95%\]")
VERSION = re.compile(
    r"\b(?:Python|PyTorch|torch|Pillow|SqueezeNet|Hydra|CUDA) [\d.]+(?: to [\d.]+)?"
)


def blocks(page):
    """(first line, comment or None, text) of what blank lines and comments separate."""
    found, comment, before, lines, begin = [], None, None, [], 1
    for number, line in enumerate([*page.read_text("utf-8").splitlines(), ""], 1):
        said = COMMENT.fullmatch(line.strip())
        if said:
            comment = said
        elif line.strip():
            begin = begin if lines else number
            lines.append(line)
        elif lines:
            # Code goes on behind an empty line, and so does what a comment before it said.
            goes_on = comment is None and found and is_code(lines[0]) and is_code(found[-1][2])
            found.append((begin, before if goes_on else comment, "\n".join(lines)))
            before, comment, lines = found[-1][1], None, []
    return found


def is_code(text):
    return text.startswith("    ")


def figures(text):
    """The numbers of a text that may have been measured: as shown, their decimals, and unit."""
    for line in CONFIDENCE.sub("", VERSION.sub("", CODE.sub("", text))).splitlines():
        for shown, spread, unit in FIGURE.findall(line):
            unit = unit.strip()
            if "." in shown or unit:
                yield shown, unit
            if spread:
                yield spread, unit


def numbers(found):
    """All numbers below a JSON value, and in the sentences of `gapfc compare`.

    Of claims also the factors whose logarithms they hold.
    """
    if isinstance(found, dict) and isinstance(found.get("sentences"), list):
        yield from (plain(shown) for each in found["sentences"] for shown, _ in figures(each))
    if isinstance(found, dict) and found.get("unit") == "factor" and "mean" in found:
        for logarithm in (found["mean"], *(found.get("interval") or ())):
            if logarithm is not None:
                yield from (math.exp(logarithm), math.exp(-logarithm))
    if isinstance(found, dict) and {"low", "high"} <= found.keys():
        yield (found["high"] - found["low"]) / 2  # what stands behind ±
    if isinstance(found, dict) and isinstance(found.get("name"), str):
        yield from (plain(shown) for shown, _ in figures(found["name"]))  # at 0.75×
    if isinstance(found, dict | list):
        yield from chain.from_iterable(
            numbers(each) for each in (found.values() if isinstance(found, dict) else found)
        )
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield float(found)


def plain(shown):
    return float(shown.replace(",", "").replace("−", "-"))


def is_among(shown, unit, measured):
    """Whether a number rounds to what is shown; shares may be shown in % or points.

    What is shown without a sign may be that of a number below 0: "loses 3 points".
    """
    value = plain(shown)
    signs = (1,) if shown[0] in "+−-" else (1, -1)
    half = 0.5 * 10 ** -len(shown.partition(".")[2]) + 1e-9
    scales = (SCALES[unit],) if unit in SCALES else (1, 100)
    return any(
        abs(sign * number * scale - value) <= half
        for number in measured
        for scale in scales
        for sign in signs
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_are_in_a_record(page):
    missing = []
    for line, comment, text in blocks(page):
        if comment is None or comment[1] != "measured":
            continue
        records = [json.loads((ROOT / name).read_text("utf-8")) for name in comment[2].split()]
        measured = [number for record in records for number in numbers(record)]
        assert measured, f"{page.name}:{line}: {comment[2]} has no numbers"
        missing += [
            f"{page.name}:{line}: {shown} {unit}"
            for shown, unit in figures(text)
            if not is_among(shown, unit, measured)
        ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_say_what_they_are(page):
    silent = [
        f"{page.name}:{line}: {', '.join(f'{shown} {unit}'.strip() for shown, unit in shown_there)}"
        for line, comment, text in blocks(page)
        if comment is None and (shown_there := list(figures(text)))
    ]
    assert not silent


def test_the_chinese_readme_has_those_of_the_english_one():
    here, there = (
        set(re.findall(r"\d+\.\d+|\d+(?=%)", CODE.sub("", (ROOT / name).read_text("utf-8"))))
        for name in ("README.zh.md", "README.md")
    )
    assert here <= there


@pytest.mark.parametrize(
    ("shown", "unit", "there"),
    [
        ("92.0", "%", True), ("92.1", "%", False), ("0.92", "", True), ("−3.0", "points", True),
        ("4.20", "M", True), ("4.2", "M", True), ("4.19", "M", False), ("5,000", "", True),
        ("60", "s", False), ("+3.0", "points", False), ("3.0", "points", True),
    ],
)  # fmt: skip
def test_a_figure_is_found_as_it_is_rounded(shown, unit, there):
    assert is_among(shown, unit, [0.9196, -0.0304, 4_199_434, 5000]) is there


def test_a_claims_factors_and_conditions_are_found_as_they_are_shown():
    claim = {"name": "at 0.75× of 1,000", "unit": "factor", "mean": math.log(2.5), "interval": None}
    found = list(
        numbers([claim, {"unit": "factor", "mean": 0.0, "interval": [None, -math.log(4)]}])
    )
    for shown in ("2.50", "0.40", "0.75", "4.00", "1.00"):
        assert is_among(shown, "×", found), shown
    assert not is_among("2.6", "×", found)


def test_the_tables_of_the_evidence_are_those_of_its_records():
    spec = importlib.util.spec_from_file_location("evidence", ROOT / "scripts" / "evidence.py")
    evidence = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evidence)
    page = (ROOT / "docs" / "evidence.md").read_text("utf-8")
    assert evidence.written(page) == page
