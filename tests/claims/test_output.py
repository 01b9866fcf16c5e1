"""What claims are told by: terminal, claims.json, claims.md, claims.html and its pictures."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from five import EVIL, five

from gapfc.claims.output.export import json_text, markdown
from gapfc.claims.output.page import html_text
from gapfc.claims.output.table import terminal
from gapfc.compare.crossed import crossed
from gapfc.records.probes import read_probes

VERDICTS = [
    "supported", "refuted: opposite", "refuted: equivalent", "undecided", "not testable here",
    "supported",
]  # fmt: skip
TYPED = ["--config-dir", "my dir", "only=[1,2]", "preset=quick"]


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    return five(tmp_path_factory.mktemp("five"))


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    return five(tmp_path_factory.mktemp("evil"), evil=True)


def test_the_five_verdicts(tested):
    assert [each.verdict.kind for each in tested] == VERDICTS


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_terminal_gets_no_longer_line(tested, evil, width):
    for lines in (terminal(tested, width).split("\n"), terminal(evil, width).split("\n")):
        assert max(map(len, lines)) <= width
        assert all(line.isprintable() for line in lines)


def test_what_the_terminal_says(tested):
    blocks = terminal(tested, 200).split("\n\n")
    low, high = (f"{100 * end:.1f}" for end in interval(tested[0]))
    assert blocks[0] == (
        " 1  SUPPORTED: GAP is more robust to translation than fully connected layers.\n"
        f"    supported, as measured: −{value(tested[0])} points [{low}, {high}]; ".replace(
            "-", "−"
        )
        + f"{shares(tested[0])}; 5 seeds × 400 images; margin 5 points; p <0.001 (Holm, 4 claims)\n"
        "    beyond the margin of 5 points, and would be with any margin up to "
        f"{high.lstrip('-')} points"
    )
    assert "beyond the margin of 5 points, on the other side, and would be" in blocks[1]
    assert "the difference is less than the margin of 5 points, which was fixed" in blocks[2]
    assert "the interval reaches over the margin; about " in blocks[3]
    assert blocks[4].endswith("probe.cam.pointing: no value in these runs; look into their run.log")
    assert "factor, as measured: 1/819; gap 5.13k against fc 4.20M; exact; margin 10×" in blocks[5]
    assert "\x1b" not in terminal(tested, 200)
    assert terminal(tested, 200, bold=True).startswith(" 1  \x1b[1mSUPPORTED\x1b[0m: GAP")


def interval(each):
    """gap − fc, independently of the claim's direction."""
    found = each.answers[0].measured.estimate.interval()
    return (-found.high, -found.low)


def value(each):
    return f"{100 * each.answers[0].measured.estimate.mean:.1f}"


def shares(each):
    measured = each.answers[0].measured
    return f"gap {100 * measured.of:.1f}% against fc {100 * measured.against:.1f}%"


def test_json_has_the_numbers(tested):
    found = json.loads(json_text(tested, "quick", TYPED))
    assert (found["schema"], found["preset"], found["confidence"]) == (1, "quick", 0.95)
    assert [claim["verdict"] for claim in found["claims"]] == VERDICTS
    first = found["claims"][0]
    assert set(first) == {
        "number", "name", "sentence", "source", "data", "verdict", "why", "decides", "p", "p_holm",
        "margin", "unit", "reason", "limits", "primary", "controls", "rates", "runs", "command",
    }  # fmt: skip
    (answer,) = first["primary"]
    assert answer["metric"] == ["probe.shift.zero.4.drop"]
    # gap − fc, whatever the claim says; so that it is checked against what both measured.
    assert answer["mean"] == pytest.approx(answer["value_of"] - answer["value_against"])
    assert answer["interval"] == pytest.approx(interval(tested[0]))
    assert list(answer["by_seed"]) == ["0", "1", "2", "3", "4"]
    means = [sum(side) / 5 for side in zip(*answer["by_seed"].values(), strict=True)]
    assert means == pytest.approx([answer["value_of"], answer["value_against"]])
    assert (answer["seeds"], answer["images"], answer["covers"]) == (5, 400, "crossed")
    assert answer["interval"][1] < -0.05  # beyond the margin
    back, accuracy = first["controls"]
    assert back["mean"] == pytest.approx(-answer["mean"])
    assert accuracy["says"] == "higher"
    exact = found["claims"][5]["primary"][0]
    assert (exact["value_of"], exact["value_against"]) == (5130, 4199946)
    assert found["claims"][5]["p"] is None
    assert len(first["runs"]["gap"]) == 5
    assert first["command"] == "gapfc claims only=1 --config-dir 'my dir' preset=quick"
    assert found["claims"][4]["primary"][0]["mean"] is None


def test_json_agrees_with_the_images(tested):
    found = json.loads(json_text(tested, "quick", TYPED))["claims"][0]
    gap, fc = (
        [read_probes(Path(run)).per_image("shift.zero.4.drop") for run in found["runs"][head]]
        for head in ("gap", "fc")
    )
    d = [a - b for a, b in zip(gap, fc, strict=True)]
    told = crossed(d).interval()
    assert found["primary"][0]["interval"] == pytest.approx((told.low, told.high))


def test_markdown_is_a_table(tested, evil):
    for set_ in (tested, evil):
        lines = markdown(set_).rstrip("\n").split("\n")
        assert len(lines) == 8
        for line in lines:  # cells are divided by | that no \ stands before
            assert len(re.split(r"(?<!\\)\|", line)) == 8
    assert "<script>" not in markdown(evil)
    assert "**bold**" not in markdown(evil)
    assert "[x](" not in markdown(evil)
    assert "\x1b" not in markdown(evil)
    assert "| **refuted: opposite** (digits) |" in markdown(tested)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.fetched, self.ids, self.refs, self.text = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, given in attrs:
            assert not name.startswith("on")
            if name == "id":
                self.ids.append(given)
            if name in ("src", "href", "xlink:href", "action"):
                (self.refs if str(given).startswith("#") else self.fetched).append(given)

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.slow
def test_the_page_holds_everything_and_asks_for_nothing(tested):
    text = html_text(tested, "quick", TYPED)
    page = Page(text)
    assert page.fetched == []
    assert not re.search(r"url\((?!#)", text)
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert {ref[1:] for ref in page.refs} <= set(page.ids)
    # For wide and for narrow windows; none where nothing could be measured.
    assert page.tags.count("svg") == 10
    assert page.tags.count("figcaption") == 5
    words = " ".join("".join(page.text).split())
    for each in tested:
        assert each.claim.sentence in words
        assert each.claim.limits in words
        assert each.claim.reason in words
    for wanted in (
        "probe.shift.zero.4.drop", "decides", "5 points",
        "gapfc claims --config-dir 'my dir' 'only=[1,2]' preset=quick", "the usual rate",
        "the same from the other side", "p <0.001 (Holm, 4 claims)",
    ):  # fmt: skip
        assert wanted in words, wanted


@pytest.mark.slow
def test_the_page_takes_no_name_for_markup(evil):
    text = html_text(evil, "<b>quick</b>", ["preset=<i>x</i>"])
    page = Page(text)
    assert not {"script", "b>quick", "i"} & set(page.tags)
    assert page.fetched == []
    assert "<script>alert" not in text
    assert EVIL.split("\x1b")[0] in "".join(page.text)
    # In the comments of an SVG, which nobody is shown.
    assert "\x1b" not in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    assert len(page.ids) == len(set(page.ids))
