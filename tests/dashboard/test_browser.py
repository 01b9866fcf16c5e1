"""What a person sees: TensorBoard's pages of a real sweep, in headless Chromium."""

import subprocess
import sys
import time

import pytest
from browsing import chromium
from serving import dashboard, names

from gapfc.tensorboard.custom_scalars import CHARTS

HEADS, SEEDS = ("gap", "fc"), (0, 1)
RUNS = names(HEADS, SEEDS)
SECTION = "digits, convnet"
MEANS = {f"all seeds/{SECTION}/{head}" for head in HEADS}
# TensorBoard nests shadow roots, which no CSS selector crosses.
FIND = """
const found = [];
const walk = root => {
  for (const element of root.querySelectorAll('*')) {
    if (element.matches(arguments[0])) found.push(element);
    if (element.shadowRoot) walk(element.shadowRoot);
  }
};
walk(arguments[1] ? arguments[1].shadowRoot : document);
return found;
"""

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


def gapfc(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "gapfc", *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def driver():
    with chromium(1500, 1400) as driver:
        yield driver


@pytest.fixture(scope="module")
def served(driver, tmp_path_factory):
    outputs = tmp_path_factory.mktemp("sweep") / "outputs"
    gapfc(
        "train", "-m", f"head={','.join(HEADS)}", f"seed={','.join(map(str, SEEDS))}",
        "backbone.widths=[8,16,16,16]", "trainer.epochs=2", "dataset.train_limit=200",
        f"output_root={outputs}",
    )  # fmt: skip
    with dashboard(outputs) as served:
        served.await_runs(RUNS | MEANS)
        yield served


class Page:
    """A tab of TensorBoard."""

    def __init__(self, driver, address, tab):
        self.driver = driver
        # By way of another page: the part after # alone does not load anything anew.
        driver.get("about:blank")
        driver.get(f"{address}#{tab}")

    def find(self, selector, within=None):
        return self.driver.execute_script(FIND, selector, within)

    def texts(self, selector):
        return [element.text for element in self.find(selector)]

    def until(self, look, seconds=60):
        """What `look()` gives as soon as it is true; an element that is redrawn is no failure."""
        from selenium.common.exceptions import StaleElementReferenceException

        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := look():
                    return found
            except StaleElementReferenceException:
                pass
            if time.monotonic() > deadline:
                body = self.driver.find_element("css selector", "body").text
                pytest.fail(f"not shown in {seconds} s, but: {body[:2000]}")
            time.sleep(0.2)

    def listed_runs(self):
        (text,) = self.until(lambda: [t for t in self.texts("tf-runs-selector") if "s0" in t])
        return {line for line in text.splitlines() if "/" in line and not line.startswith("/")}


def test_scalars_of_every_run(driver, served):
    page = Page(driver, served.address, "scalars")
    page.until(lambda: driver.title.startswith("gapfc: ") and driver.title.endswith("outputs"))
    assert page.listed_runs() == RUNS | MEANS

    # The first section is open.
    def cards():
        return [t for t in page.texts("tf-scalar-card") if t.startswith("accuracy/")]

    shown = page.until(lambda: len(found := cards()) == 3 and found)
    assert [text.splitlines()[0] for text in shown] == [
        "accuracy/train",
        "accuracy/val",
        "accuracy/val_top5",
    ]
    # Charts are drawn: their axes have numbers.
    page.until(lambda: all(len(text.splitlines()) > 4 for text in cards()))


def test_the_first_page_is_of_scalars_in_one_colour_per_head(driver, served):
    page = Page(driver, served.address, "")
    groups = page.until(lambda: [t for t in page.texts("metrics-card-group-toolbar") if t])
    assert "#timeseries" in driver.current_url
    assert groups[0].startswith("accuracy3")
    assert groups[1].startswith(f"all seeds: {SECTION}")
    cards = page.until(lambda: ["".join(t.split()) for t in page.texts("scalar-card") if t])
    assert cards[0].startswith("accuracy/train")
    assert cards[1].startswith("accuracy/val")

    def colours():
        rows = page.find("runs-data-table tb-data-table-content-row")
        dots = [row.find_element("css selector", ".run-color-swatch") for row in rows]
        return {
            " ".join(row.text.split()): dot.value_of_css_property("background-color")
            for row, dot in zip(rows, dots, strict=True)
        }

    shown = page.until(lambda: len(found := colours()) == len(RUNS | MEANS) and found)
    assert set(shown) == RUNS | MEANS
    by_head = {head: {c for name, c in shown.items() if head in name.split("/")[2].split()}
               for head in HEADS}  # fmt: skip
    assert all(len(found) == 1 for found in by_head.values())
    assert by_head["gap"] != by_head["fc"]


def test_hparams_has_a_row_a_group_within_1400_pixels(driver, served):
    width = driver.get_window_size()["width"]
    driver.set_window_size(1400, 1400)
    page = Page(driver, served.address, "hparams")

    def cells():
        return [cell for cell in page.find("vaadin-grid-cell-content") if cell.text]

    shown = page.until(lambda: len(found := cells()) > 20 and found)
    head = [
        "Trial ID", "Show Metrics", "head", "head options", "learning rate", "test accuracy",
        "epochs to 50% val. accuracy (seeds that reached it)", "area under the validation curve",
        "head parameters (thousands)", "train − test accuracy",
    ]  # fmt: skip
    titles = [" ".join(cell.text.split()) for cell in shown[: len(head)]]
    assert [t for t in titles if "epochs to" not in t] == [t for t in head if "epochs to" not in t]
    for cell in shown:
        assert cell.rect["x"] + cell.rect["width"] <= 1400
    names = [c.text for c in shown[len(head) :] if c.text.startswith("digits ")]
    assert [name.split()[:2] for name in names] == [["digits", "fc"], ["digits", "gap"]]
    driver.set_window_size(width, 1400)


def test_text_has_command_config_and_results(driver, served):
    page = Page(driver, served.address, "text")
    page.until(lambda: any("gapfc train head=gap" in t for t in page.texts("tf-text-loader")))


def test_images_are_there_to_be_looked_at(driver, served):
    page = Page(driver, served.address, "images")
    assert page.listed_runs() == RUNS | MEANS
    titles = [
        "visual/class activation maps (test)", "visual/confusion matrix (test)",
        "visual/training images",
    ]  # fmt: skip

    def sizes():
        return driver.execute_script(
            "return arguments[0].map(image => [image.naturalWidth, image.naturalHeight])",
            [i for i in page.find("img") if "individualImage" in (i.get_attribute("src") or "")],
        )

    expected = len(titles) * len(RUNS)
    page.until(lambda: len(found := sizes()) == expected and all(w and h for w, h in found))
    cards = page.texts("tf-image-loader")
    for run in RUNS:
        assert sum(run in card.splitlines() for card in cards) == len(titles)
    for title in titles:
        assert sum(title in card.splitlines()[0] for card in cards) == len(RUNS)
    # Training images: 16 in a square. Maps: four in a row; the number of rows is that of right and
    # wrong predictions, which is chance.
    found = {tuple(size) for size in sizes()}
    assert (262, 262) in found
    assert any(width == 640 and height >= 500 for width, height in found)


def test_custom_scalars_lay_heads_over_each_other(driver, served):
    page = Page(driver, served.address, "custom_scalars")
    margins, lines = "tf-custom-scalar-margin-chart-card", "tf-custom-scalar-multi-line-chart-card"

    def counts():
        texts = [text.splitlines() for text in (*page.texts(margins), *page.texts(lines))]
        return {text[0]: text[-1] for text in texts if text}

    # Every chart has found its lines: one a run, two where it has both splits, or one a group.
    expected = {title: len(RUNS) for charts in CHARTS.values() for title in charts}
    expected |= {title: 2 * len(RUNS) for title in CHARTS["Overfitting"]}
    means = ["accuracy, validation", "loss, validation"]
    expected |= dict.fromkeys(means, len(HEADS))
    page.until(lambda: counts() == {title: f"Matches ({n})" for title, n in expected.items()})
    assert list(counts())[:2] == means
    first = page.texts("tf-category-paginated-view")[0]
    assert first.splitlines()[0] == f"{SECTION}: mean and 95% interval over seeds"
