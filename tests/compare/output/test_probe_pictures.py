"""Pictures of probes: each line is the mean of the runs, and what is not measured is told."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from synthetic import write_run

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output import plots
from gapfc.compare.output.page import html_text
from gapfc.compare.output.plots import PICTURES, draw
from gapfc.compare.output.plots.look import looks
from gapfc.compare.output.plots.sheet import WIDE, styled
from gapfc.compare.question import Question

SEEDS, CLEAN = 3, 0.95
ACCURACY = {  # by head and shift; a seed adds a thousandth
    "fc": {"1": 0.9, "4": 0.6},
    "gap": {"1": 0.92, "4": 0.8},
}
SIZES = ("0.5", "1", "2")


def values(head: str, seed: int) -> dict:
    def one(accuracy: float) -> dict:
        accuracy += seed / 1000
        return {"accuracy": accuracy, "drop": CLEAN - accuracy, "consistency": 0.5, "ece": None}

    shifts = {x: one(accuracy) for x, accuracy in ACCURACY[head].items()}
    native = None if head == "fc" else {"accuracy": 0.5}
    bins = [{"confidence": None, "accuracy": None, "count": 0}] * 14
    return {
        "shift": {"zero": shifts, "circular": {"1": one(0.7)}, "pair_consistency": 0.8},
        "size": {x: {"native": native, "resized_back": {"accuracy": 0.9}} for x in SIZES},
        "corruption": {
            name: {"1": {"accuracy": 0.8, "nll": 1.0}, "5": {"accuracy": 0.3, "nll": 2.0}}
            for name in ("noise", "blur", "contrast")
        },
        "calibration": {
            "ece": 0.1,
            "reliability": [*bins, {"confidence": 0.98, "accuracy": 0.9 - seed / 10, "count": 10}],
        },
    }


def write_probes(path, probe) -> None:
    text = json.dumps({"schema": 1, "gapfc": "0.1.0", "data": {"name": "digits"}, "probe": probe})
    (path / "probes.json").write_text(text)


@pytest.fixture
def found(tmp_path):
    for head in ACCURACY:
        for seed in range(SEEDS):
            write_probes(write_run(tmp_path, head, seed), values(head, seed))
    return compare(collect([tmp_path]), Question())


def drawn(found, name):
    with styled():
        return PICTURES[name][1](found, WIDE)


def lines(axes):
    return {line.get_label().partition(" ")[0]: line for line in axes.lines}


def test_accuracy_over_shift(found):
    drawing = drawn(found, "shift")
    zero, circular = drawing.figure.axes
    assert zero.get_title(loc="left") == "Shifted, with black moving in"
    assert (zero.get_xlabel(), zero.get_ylabel()) == ("shift (pixels)", "accuracy (%)")
    for head, at in ACCURACY.items():
        line = lines(zero)[head]
        assert list(line.get_xdata()) == [0, 1, 4]
        expected = [100 * CLEAN, *(100 * (a + 0.001) for a in at.values())]
        assert list(line.get_ydata()) == pytest.approx(expected)
        assert line.get_color() == looks(found)[head].colour
    assert list(lines(circular)["gap"].get_xdata()) == [0, 1]
    assert [tick.get_text() for tick in zero.get_xticklabels()] == ["4", "1", "0"]
    assert "At 0: unchanged images." in drawing.caption
    assert "Band: 95% interval over seeds." in drawing.caption


def test_the_band_is_students_interval(found):
    axes = drawn(found, "shift").figure.axes[0]
    half = stats.t.ppf(0.975, SEEDS - 1) * np.std([0.0, 0.1, 0.2], ddof=1) / math.sqrt(SEEDS)
    band = axes.collections[0].get_paths()[0].vertices
    mean = lines(axes)[found.rows[0].label].get_ydata()[1]
    at_1 = band[band[:, 0] == 1][:, 1]
    assert (at_1.min(), at_1.max()) == pytest.approx((mean - half, mean + half))


def test_a_head_that_takes_one_size_has_no_line_and_this_is_told(found):
    drawing = drawn(found, "size")
    native, back = drawing.figure.axes
    assert set(lines(native)) == {"gap"}
    assert set(lines(back)) == {"fc", "gap"}
    assert list(lines(native)["gap"].get_xdata()) == [0.5, 1, 2]
    assert "Seen at that size: not measured of fc." in drawing.caption
    assert "At 0" not in drawing.caption


def test_a_panel_for_each_corruption(found):
    axes = [axes for axes in drawn(found, "corruption").figure.axes if axes.get_visible()]
    assert [a.get_title(loc="left") for a in axes] == ["Noise", "Blur", "Contrast"]
    assert list(lines(axes[0])["fc"].get_xdata()) == [0, 1, 5]
    assert list(lines(axes[0])["fc"].get_ydata()) == pytest.approx([95, 80, 30])


def test_a_reliability_diagram_for_each_head(found):
    axes = drawn(found, "reliability").figure.axes
    labels = looks(found)
    assert [a.get_title(loc="left") for a in axes] == [labels[r.label].label for r in found.rows]
    (at,) = axes[0].collections[-1].get_offsets()
    assert tuple(at) == pytest.approx((98, 80))  # of three seeds of equal weight


@pytest.mark.slow
def test_they_are_on_the_page_only_if_there_is_something(found, sweep, monkeypatch):
    shown = {name: plots.PICTURES[name] for name in ("shift", "size", "corruption", "reliability")}
    monkeypatch.setattr(plots, "PICTURES", shown)
    page = html_text(found, draw(found, files=False))
    for title in ("images are shifted", "other image sizes", "corrupted images", "calibrated"):
        assert f"{title}</h3>" in page
        assert f'{title}"' in page  # in words, for those who cannot see it
    without = compare(collect([sweep]), Question())
    assert [drawn(without, n) for n in ("shift", "size", "corruption", "reliability")] == [None] * 4


@pytest.mark.parametrize(
    "probe",
    [
        {"shift": 3, "size": [], "corruption": "noise", "calibration": None},
        {"shift": {"zero": {"a": {"accuracy": 1}, "-1": {"accuracy": 1}, "nan": {"accuracy": 1}}}},
        {"shift": {"zero": {"1": {"accuracy": 7}, "2": {"accuracy": "x"}, "4": []}}},
        {"size": {"1": {"native": 1, "resized_back": {"accuracy": True}}}},
        {"calibration": {"reliability": [1, {"confidence": 2, "accuracy": 1, "count": 1}, {}]}},
    ],
)
def test_nonsense_is_not_drawn(tmp_path, probe):
    write_probes(write_run(tmp_path, "gap"), probe)
    found = compare(collect([tmp_path]), Question())
    assert [drawn(found, n) for n in ("shift", "size", "corruption", "reliability")] == [None] * 4
