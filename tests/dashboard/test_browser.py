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
MEANS = {f"all seeds (comparison)/{head}" for head in HEADS}
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
    gapfc("compare", outputs, "--out", outputs / "comparison")
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
    (tags,) = page.find("tf-tag-filterer")
    page.find("input", within=tags)[0].send_keys("^val/")

    def cards():
        return [t for t in page.texts("tf-scalar-card") if t.startswith("val/")]

    shown = page.until(lambda: len(found := cards()) == 3 and found)
    assert [text.splitlines()[0] for text in shown] == [
        "val/accuracy",
        "val/loss",
        "val/top5",
    ]
    # Charts are drawn: their axes have numbers.
    page.until(lambda: all(len(text.splitlines()) > 4 for text in cards()))


def test_hparams_has_a_row_a_group(driver, served):
    page = Page(driver, served.address, "hparams")

    def cells():
        return [text for text in page.texts("vaadin-grid-cell-content") if text]

    shown = page.until(lambda: len(found := cells()) > 20 and found)
    head = [
        "Trial ID", "Show Metrics",
        "backbone", "dataset", "head", "head options", "learning rate",
        "test accuracy", "test NLL", "training minus test accuracy", "parameters",
        "training seconds",
    ]  # fmt: skip
    assert shown[: len(head)] == head
    # The column of checkboxes has no text; every other cell of both rows has.
    rest = shown[len(head) :]
    width = len(head) - 1
    rows = [rest[start : start + width] for start in range(0, len(rest), width)]
    assert [row[0].split()[0] for row in rows] == ["fc", "gap"]
    for row in rows:
        assert len(row) == width
        name, backbone, dataset, head_name, options, rate, accuracy, *_ = row
        assert (backbone, dataset) == ("convnet", "digits")
        assert name.startswith(f"{head_name} ")
        assert "hidden=" in options
        assert float(rate) > 0
        assert 0 < float(accuracy) <= 1


def test_images_are_there_to_be_looked_at(driver, served):
    page = Page(driver, served.address, "images")
    assert page.listed_runs() == RUNS | MEANS
    titles = ["class activation maps (test)", "confusion matrix (test)", "training images"]

    def categories():
        return [text.splitlines()[0] for text in page.texts("tf-category-paginated-view") if text]

    page.until(lambda: categories() == titles)
    # Only the first categories are open at the start.
    last = page.find(".heading", within=page.find("tf-category-paginated-view")[-1])[0]
    # It lies below the window, and moves down while the pictures above it are loaded.
    driver.execute_script("arguments[0].click()", last)

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
    # 8 digits of 64 pixels, over their maps; 16 in a square.
    assert sorted({(w, h) for w, h in sizes() if w != h} | {(262, 262)}) == [(262, 262), (526, 130)]


def test_custom_scalars_lay_heads_over_each_other(driver, served):
    page = Page(driver, served.address, "custom_scalars")
    margins, lines = "tf-custom-scalar-margin-chart-card", "tf-custom-scalar-multi-line-chart-card"

    def counts():
        texts = [text.splitlines() for text in (*page.texts(margins), *page.texts(lines))]
        return {text[0]: text[-1] for text in texts if text}

    # Every chart has found its lines: one a run, two where it has both splits, or one a group.
    expected = {title: len(RUNS) for charts in CHARTS.values() for title in charts}
    expected |= {title: 2 * len(RUNS) for title in CHARTS["Overfitting"]}
    over_seeds = "{}: mean and 95% interval over seeds".format
    means = [over_seeds("validation accuracy"), over_seeds("validation loss")]
    expected |= dict.fromkeys(means, len(HEADS))
    page.until(lambda: counts() == {title: f"Matches ({n})" for title, n in expected.items()})
    assert list(counts())[:2] == means
    (group,) = [t for t in page.texts("tf-category-paginated-view")[:2] if "Mean over seeds" in t]
    assert group.splitlines()[0] == "Mean over seeds"
