"""The page: whole, escaped, and nothing from the network."""

import re
from html.parser import HTMLParser

import pytest
from synthetic import HEADS, write_run

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.page import html_text, inline
from gapfc.compare.output.plots import Picture, draw
from gapfc.compare.question import Question


class Page(HTMLParser):
    """Collects what a browser would fetch, the ids, and the text."""

    def __init__(self):
        super().__init__()
        self.fetched, self.ids, self.refs, self.text, self.tags, self.names = [[] for _ in range(6)]

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            self.names.append(name)
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action"):
                if str(value).startswith("#"):
                    self.refs.append(value[1:])
                elif not str(value).startswith("data:"):
                    self.fetched.append(value)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of four heads on three seeds, with its pictures."""
    folder = tmp_path_factory.mktemp("whole")
    for head in ("fc", "gap", "nin", "spp"):
        for seed in range(3):
            write_run(folder, head, seed)
    found = compare(collect([folder]), Question())
    return html_text(found, draw(found, files=False))


def words(text):
    """What a reader sees of a page, in one line."""
    page = Page()
    page.feed(text)
    return " ".join("".join(page.text).split())


@pytest.mark.slow
def test_the_page_is_whole_and_asks_for_nothing(whole):
    text, page = whole, Page()
    page.feed(text)
    assert page.fetched == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.refs) <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert page.tags.count("svg") == 12  # six pictures, each for wide and for narrow windows
    assert page.tags.count("figcaption") == 6
    for wanted in ("Which head? test.accuracy", "points better than fc", "gapfc compare",
                   "gapfc train", "No run failed", "Student's t"):  # fmt: skip
        assert wanted in words(text)


def test_the_page_escapes_what_runs_hold(sweep):
    write_run(sweep, "gap", 9, status="failed", error="<script>alert(1)</script>")
    text = html_text(compare(collect([sweep]), Question()), [])
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_the_page_escapes_the_names_of_groups(tmp_path):
    for rate in (0.1, "<img src=x onerror=alert(1)>", "' onclick=alert(1)"):
        write_run(tmp_path, "gap", 0, config={"optimizer.lr": rate})
    comparison = compare(collect([tmp_path]), Question(by=("optimizer.lr",)))
    page = Page()
    page.feed(html_text(comparison, []))
    assert "img" not in page.tags
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "onclick" not in page.names


def test_colours_become_variables_and_ids_get_a_name():
    drawing = (
        '<?xml version="1.0"?>\n<svg height="9pt" width="9pt" viewBox="0 0 9 9" xmlns="x">'
        '<g id="axes_1"><path id="m1" style="fill: #0072b2"/><use xlink:href="#m1"/>'
        '<path stroke="#1f2328" clip-path="url(#m1)"/></g></svg>'
    )
    made = inline(Picture("pic", "", "A & B", "", drawing, drawing))
    assert made.count('<svg role="img" aria-label="A &amp; B"') == 2
    assert 'id="pic-m1" style="fill: var(--c0)"' in made
    assert 'id="pic-narrow-m1" style="fill: var(--c0)"' in made
    assert 'href="#pic-m1"' in made
    assert "url(#pic-m1)" in made
    assert 'style="stroke: var(--ink)"' in made
    assert "axes_1" not in made
    assert "9pt" not in made


def test_the_answer_comes_first_then_its_picture_then_the_table(whole):
    text = words(whole)
    order = [
        "points better than fc (95% interval", "Its head is 819 times smaller",
        "Difference to fc, paired by seed", "The table", "No margin was given", "--margin M",
        "No run failed", "Convergence", "Accuracy by epoch", "What was run", "To run it again",
    ]  # fmt: skip
    places = [text.index(each) for each in order]
    assert places == sorted(places)


def test_a_margin_and_what_was_left_out_are_told(sweep):
    write_run(sweep, "gap", 9, status="failed", error="out of memory")
    write_run(sweep, "gap", 1, when="20201122-041530")
    text = words(html_text(compare(collect([sweep]), Question(margin=0.5)), []))
    assert "The margin is 0.5 points" in text
    assert "No margin was given" not in text
    assert "1 other run found is left out" in text
    assert "1 run not in the comparison failed:" in text


def test_many_groups_are_told_in_a_line_each(tmp_path):
    for head in HEADS:
        for seed in range(2):
            write_run(tmp_path, head, seed)
    text = words(html_text(compare(collect([tmp_path]), Question()), []))
    assert text.index("gap: not told apart from fc, ") < text.index("The same in sentences")
    assert "; head 819 times smaller" in text
    assert "[ ]: 95% interval. Epochs: to 95% validation accuracy." in text


def test_what_holds_an_interval_is_not_broken(sweep):
    text = html_text(compare(collect([sweep]), Question()), [])
    whole = re.findall(r'<span class="whole">(.*?)</span>', text)
    assert [part for part in whole if re.fullmatch(r"\[-?[\d.]+, -?[\d.]+\]", part)]
    assert all(part.count("[") == part.count("]") for part in whole)
