"""The table: what is bold, and what goes when it is too wide."""

import re

import pytest
from synthetic import write_run

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.columns import shown_columns
from gapfc.compare.output.table import markdown, terminal
from gapfc.compare.question import Question


def test_nothing_is_bold_that_is_not_told_apart(sweep):
    found = compare(collect([sweep]), Question())
    shown = {column.name: column for column in shown_columns(found)}
    apart = {row.label for row in found.rows if row.told_apart(0.95) and row.paired.mean > 0}
    assert shown["metric"].best_rows(found) == apart
    assert shown["head_parameters"].best_rows(found) == {"gap", "nin"}
    for name in ("n", "area_under_curve", "epochs_to_target", "images_per_second"):
        assert shown[name].best_rows(found) == set()  # nobody tested these
    assert "\x1b[1m5.13k\x1b[0m" in terminal(found, 200, bold=True)
    assert markdown(found).count("**5.13k**") == 2


@pytest.mark.parametrize("width", [200, 120, 100, 80, 60])
def test_columns_go_in_the_stated_order_until_it_fits(sweep, width):
    found = compare(collect([sweep]), Question())
    lines = terminal(found, width).splitlines()
    fits = max(len(line) for line in lines[:6]) <= width
    assert fits or lines[0].split() == ["head", "n", "test.accuracy", "(%)", "difference",
                                        "[95%]", "p", "(Holm)"]  # fmt: skip
    shown = re.split(r"\s{2,}", lines[0])
    dropped = [column.title for column in shown_columns(found) if column.title not in shown]
    assert bool(dropped) == ("Left out" in lines[-1])
    assert all(title in lines[-1] for title in dropped)


def test_a_baseline_is_bold_if_all_others_are_worse(tmp_path):
    for head, level in (("fc", 0.9), ("gap", 0.8), ("nin", 0.7)):
        for seed in range(3):
            write_run(tmp_path, head, seed, accuracy=level + 0.001 * seed * (head != "fc"))
    found = compare(collect([tmp_path]), Question())
    (metric,) = (column for column in shown_columns(found) if column.name == "metric")
    assert metric.best_rows(found) == {"fc"}
    other = compare(collect([tmp_path]), Question(baseline="gap"))
    assert metric.best_rows(other) == {"fc"}
