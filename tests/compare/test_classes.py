"""What is said of each class, against counts by hand."""

import numpy as np
import pytest
from synthetic import change, write_run

from gapfc.compare.answer import compare
from gapfc.compare.classes import MOST_CLASSES
from gapfc.compare.collect import collect
from gapfc.compare.output.plots.classes import confused, confusion, recall
from gapfc.compare.output.plots.sheet import NARROW, WIDE, styled
from gapfc.compare.question import Question
from gapfc.records.predictions import Predictions, write_predictions


def write_seen(root, head, seed, labels, seen, **options):
    path = write_run(root, head, seed, **options)
    sure = np.full(len(labels), 0.9)
    indices = np.arange(len(labels))
    write_predictions(path, Predictions(indices, np.array(labels), np.array(seen), sure, sure))
    return path


def compared(root):
    return compare(collect([root]), Question())


@pytest.fixture
def three(tmp_path):
    labels = [0, 0, 0, 0, 2, 2, 5, 5]
    seen = {
        ("fc", 0): [0, 0, 0, 2, 2, 2, 5, 0],
        ("fc", 1): [0, 0, 2, 2, 2, 0, 5, 5],
        ("gap", 0): [0, 0, 0, 0, 2, 2, 5, -1],  # -1: a logit was nan
        ("gap", 1): [0, 0, 0, 0, 2, 2, 5, 7],  # 7: a class that no test image has
    }
    for (head, seed), classes in seen.items():
        write_seen(tmp_path, head, seed, labels, classes)
    return tmp_path


def test_shares_are_means_over_seeds(three):
    found = compared(three).classes
    assert found.names == ("0", "2", "5")
    assert found.shares["fc"] == pytest.approx(
        np.array([[0.625, 0.375, 0], [0.25, 0.75, 0], [0.25, 0, 0.75]])
    )
    assert found.recall("fc") == pytest.approx([0.625, 0.75, 0.75])
    assert found.shares["gap"][2] == pytest.approx([0, 0, 0.5])


def test_names_are_those_that_results_hold(three):
    runs = sorted(three.glob("**/results.json"))
    change(runs[0].parent, {}, {"classes": ["a", "b", "c", "d", "e", "f<i>\x1b"]})
    assert compared(three).classes.names == ("a", "c", "f<i>\\x1b")


@pytest.mark.parametrize("names", [["a"], "abcdefgh", 7, {"0": "a"}])
def test_names_that_are_none_are_left_out(three, names):
    for run in three.glob("**/results.json"):
        change(run.parent, {}, {"classes": names})
    assert compared(three).classes.names == ("0", "2", "5")


def test_a_group_without_predictions_or_on_other_images_is_left_out(three):
    write_run(three, "nin", 0)
    write_seen(three, "spp", 0, [0, 1], [0, 1])
    assert set(compared(three).classes.shares) == {"fc", "gap"}


def test_nothing_without_predictions_or_for_too_many_classes(sweep, tmp_path):
    assert compared(sweep).classes is None
    assert [draw(compared(sweep), WIDE) for draw in (recall, confusion, confused)] == [None] * 3
    many = np.arange(MOST_CLASSES + 1)
    write_seen(tmp_path / "many", "gap", 0, many, many)
    assert compared(tmp_path / "many").classes is None


@pytest.mark.parametrize("sheet", [WIDE, NARROW])
def test_a_matrix_for_each_group(three, sheet):
    with styled():
        drawing = confusion(compared(three), sheet)
    shown = [axes for axes in drawing.figure.axes if axes.get_visible()]
    titles = {axes.get_title(loc="left"): axes for axes in shown}
    assert set(titles) == {"fc (baseline)", "gap"}
    fc = titles["fc (baseline)"]
    assert fc.images[0].get_array()[0].tolist() == pytest.approx([62.5, 37.5, 0])
    assert {text.get_text() for text in fc.texts} == {"62", "38", "25", "75"}


def test_recall_has_a_marker_for_each_group_and_class(three):
    with styled():
        drawing = recall(compared(three), WIDE)
    (axes,) = drawing.figure.axes
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    assert lines["fc (baseline)"] == pytest.approx([62.5, 75, 75])
    assert lines["gap"] == pytest.approx([100, 100, 50])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["0", "2", "5"]


def test_of_many_classes_those_that_differ_and_the_confused_pairs(tmp_path):
    labels = np.repeat(np.arange(30), 4)
    for seed in range(2):
        fc, gap = labels.copy(), labels.copy()
        fc[labels == 7] = 9  # fc never sees 7
        fc[4 * 11], gap[4 * 11] = 12, 12  # both take one of four 11s for 12
        write_seen(tmp_path, "fc", seed, labels, fc)
        write_seen(tmp_path, "gap", seed, labels, gap)
    found = compared(tmp_path)
    with styled():
        assert confusion(found, WIDE) is None
        told, pairs = recall(found, WIDE), confused(found, WIDE)
    assert told.title == "Recall of the 15 classes that the groups differ most in, of 30"
    assert told.figure.axes[0].get_yticklabels()[0].get_text() == "7"
    names = [tick.get_text() for tick in pairs.figure.axes[0].get_yticklabels()]
    assert names == ["7 → 9", "11 → 12"]
    lines = {line.get_label(): line.get_xdata() for line in pairs.figure.axes[0].lines}
    assert lines["fc (baseline)"] == pytest.approx([100, 25])
    assert lines["gap"] == pytest.approx([0, 25])
