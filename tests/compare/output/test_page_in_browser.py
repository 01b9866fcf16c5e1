"""What a person sees of the pages, in headless Chromium: nothing is cut, and nothing is loaded."""

import base64
import json

import pytest
from browsing import chromium, show, too_wide
from five import five
from synthetic import HEADS, write_measured, write_transfer

from gapfc.claims.output.page import html_text as claims_page
from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.page import html_text
from gapfc.compare.output.plots import draw
from gapfc.compare.question import Question

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]
PAGES = ("few", "many", "transfer", "claims")


@pytest.fixture(scope="module")
def driver():
    with chromium(1300, 900) as driver:
        yield driver


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    for name, heads in (("few", ("fc", "gap")), ("many", tuple(HEADS))):
        for head in heads:
            for seed in range(3):
                right = [image % (9 + seed) > 0 for image in range(200)]
                write_measured(root / name, head, seed, right)
    for head in ("fc", "gap", "spp"):
        for protocol in ("scratch", "linear_probe", "finetune", "lp_ft"):
            for seed in range(3):
                write_transfer(root / "transfer", head, protocol, seed)
    by = {"transfer": ("source.head", "protocol")}
    for name in PAGES[:3]:
        question = Question(by=by.get(name, ("head",)), margin=None if name == "few" else 0.5)
        found = compare(collect([root / name]), question)
        (root / f"{name}.html").write_text(html_text(found, draw(found, files=False)))
    tested = five(root / "claims")
    (root / "claims.html").write_text(claims_page(tested, "quick", ["preset=quick"]))
    return root


def opened(driver):
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 390, 700, 1024, 1300, 1920])
def test_nothing_is_wider_than_the_window(driver, pages, name, width):
    show(driver, pages / f"{name}.html", width)
    opened(driver)
    assert too_wide(driver) == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES)
def test_every_column_is_seen_at_1300(driver, pages, name):
    show(driver, pages / f"{name}.html", 1300)
    hidden = driver.execute_script(
        "return [...document.querySelectorAll('.wide')].map(w => w.scrollWidth - w.clientWidth)"
    )
    assert hidden
    assert max(hidden) <= 0


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "shown"), [(390, "on-narrow"), (1300, "on-wide")])
def test_each_picture_is_shown_once_whole_and_readable(driver, pages, name, width, shown):
    show(driver, pages / f"{name}.html", width)
    opened(driver)
    pictures = driver.execute_script(
        """return [...document.querySelectorAll('figure')].map(f => [...f.querySelectorAll('svg')]
          .filter(s => s.getClientRects().length).map(s => [s.parentElement.className,
            s.getBoundingClientRect().width, s.viewBox.baseVal.width]))"""
    )
    assert pictures
    for seen in pictures:
        ((kind, across, points),) = seen
        assert kind == shown
        # Letters of 8 to 10 points are no smaller than 8 pixels.
        assert across / points >= 0.95


def test_a_table_that_goes_on_says_so_at_its_edge(driver, pages):
    show(driver, pages / "few.html", 390)
    more = "return document.querySelector('.frame').classList.contains('more')"
    hint = "return getComputedStyle(document.querySelector('.swipe')).display"
    assert driver.execute_script(more) is True
    assert driver.execute_script(hint) == "block"
    driver.execute_script("document.querySelector('.wide').scrollLeft = 1e6")
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert driver.execute_script(more) is False
    show(driver, pages / "few.html", 1300)
    assert driver.execute_script(more) is False


@pytest.mark.parametrize("name", PAGES)
def test_it_prints_on_a4_with_nothing_cut(driver, pages, name):
    paper = 695  # pixels between the margins of A4
    show(driver, pages / f"{name}.html", paper, "print")
    opened(driver)
    assert too_wide(driver) == []
    tallest = (
        "return Math.max(...[...document.querySelectorAll('figure')].map(f => f.offsetHeight))"
    )
    assert driver.execute_script(tallest) < 1020  # a page: none is cut in two
    inside = "return [...document.querySelectorAll('table')].map(t => t.offsetWidth)"
    assert max(driver.execute_script(inside)) <= paper
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_loaded_and_nothing_fails(driver, pages, name):
    driver.get_log("performance"), driver.get_log("browser")
    show(driver, pages / f"{name}.html", 1300)
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [
        (pages / f"{name}.html").as_uri()
    ]
    assert driver.get_log("browser") == []


def test_a_column_is_sorted_by_its_title(driver, pages):
    show(driver, pages / "many.html", 1300)
    button = driver.find_elements("css selector", "thead button")[0]
    names = "return [...document.querySelectorAll('tbody th')].map(t => t.textContent)"
    driver.execute_script("arguments[0].click()", button)
    driver.execute_script("arguments[0].click()", button)
    assert driver.execute_script(names) == sorted(HEADS)
