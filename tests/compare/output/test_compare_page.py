"""The page: whole, escaped, and nothing from the network."""

import re
from html.parser import HTMLParser

from synthetic import write_run

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


def test_the_page_is_whole_and_asks_for_nothing(sweep):
    found = compare(collect([sweep]), Question())
    text = html_text(found, draw(found, png=False))
    page = Page()
    page.feed(text)
    assert page.fetched == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.refs) <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert page.tags.count("svg") == 6
    words = "".join(page.text)
    for wanted in ("Which head? test.accuracy", "points better than fc", "gapfc compare",
                   "gapfc train", "No run failed", "Student's t"):  # fmt: skip
        assert wanted in words


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
    made = inline(Picture("pic", "A & B", drawing, None))
    assert made.startswith('<svg role="img" aria-label="A &amp; B"')
    assert 'id="pic-m1" style="fill: var(--c0)"' in made
    assert 'href="#pic-m1"' in made
    assert "url(#pic-m1)" in made
    assert 'style="stroke: var(--ink)"' in made
    assert "axes_1" not in made
    assert "9pt" not in made
