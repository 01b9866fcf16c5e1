"""The table: what is bold, and what goes when it is too wide."""

import re

import pytest

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.columns import shown_columns
from gapfc.compare.output.table import markdown, terminal
from gapfc.compare.question import Question


def test_the_best_of_each_column_is_bold(sweep):
    found = compare(collect([sweep]), Question())
    shown = {column.name: column for column in shown_columns(found)}
    assert shown["metric"].best_rows(found.rows) == {found.best}
    assert shown["head_parameters"].best_rows(found.rows) == {"gap", "nin"}
    assert shown["n"].best_rows(found.rows) == set()
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
