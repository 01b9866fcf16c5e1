"""The table: what is bold, and what goes when it is too wide."""

import json
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
    table, legend = terminal(found, 200, bold=True)
    assert "\x1b[1m5.13k\x1b[0m" in table
    assert legend.count("Bold: ") == markdown(found).count("Bold: ") == 1
    assert "Bold" not in terminal(found, 200)[1]
    assert markdown(found).count("**5.13k**") == 2


ANSWERS = ("head", "test.accuracy (%)", "difference [95%]", "head parameters", "epochs to 95%")


@pytest.mark.parametrize("width", [250, 140, 120, 100, 80, 60])
def test_columns_go_in_the_stated_order_until_it_fits(sweep, width):
    found = compare(collect([sweep]), Question())
    table, legend = terminal(found, width)
    assert max(map(len, table.splitlines())) <= width
    shown, titles = titles_of(table), [column.title for column in shown_columns(found)]
    kept = [title for title in titles if title in shown]
    assert shown == kept
    dropped = [title for title in titles if title not in shown]
    assert (f"Left out to fit {width} columns: {', '.join(dropped)} (" in legend) == bool(dropped)
    assert not dropped or width < 250
    if width >= 80:
        assert tuple(shown[:5]) == ANSWERS
    if width == 140:
        assert set(dropped) <= {"images/s", "P(better)"}


def test_transfer_keeps_the_columns_that_answer_in_80_columns(transfers):
    found = compare(collect([transfers]), Question(by=("source.head", "protocol")))
    table, _ = terminal(found, 80)
    assert max(map(len, table.splitlines())) <= 80
    assert titles_of(table)[:2] == ["source.head", "protocol"]
    assert {"head parameters", "epochs to 90%"} <= set(titles_of(table)), table


def test_the_gap_is_to_what_was_held_out(tmp_path):
    for head in ("gap", "fc"):
        write_run(tmp_path, head, 0, results={"test": None})
    found = compare(collect([tmp_path]), Question(metric="val.accuracy"))
    assert any("no test images: these are validation's" in note for note in found.notes)
    (column,) = (c for c in shown_columns(found) if c.name == "generalization_gap")
    assert column.title == "train − validation (points)"
    assert column.explanation.startswith("training accuracy minus validation accuracy")


def test_no_title_needs_explaining_that_is_not_explained(sweep):
    found = compare(collect([sweep]), Question())
    titles = {column.name: column.title for column in shown_columns(found)}
    assert titles["generalization_gap"] == "train − test (points)"
    assert titles["area_under_curve"] == "area under validation curve"
    told = {column.name: column.explanation for column in shown_columns(found)}
    for name in ("seconds_to_target", "images_per_second"):
        assert told[name].endswith("other work on the machine counts")
    assert (
        "Seconds to 95% and images/s: other work on the machine counts."
        in (terminal(found, 250)[1])
    )


def test_the_gap_of_accuracy_does_not_stand_beside_a_probe(sweep):
    for run in collect([sweep]).runs:
        probes = {"schema": 1, "data": {}, "probe": {"size": {"1": {"accuracy": 0.9}}}}
        (run.path / "probes.json").write_text(json.dumps(probes))
    found = compare(collect([sweep]), Question(metric="probe.size.1.accuracy"))
    names = [column.name for column in shown_columns(found)]
    assert "generalization_gap" not in names
    assert "head_parameters" in names


def titles_of(table):
    """The titles above a table's rule, each read down its column."""
    lines = table.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("─"))
    spans = [match.span() for match in re.finditer("─+", lines[at])]
    pieces = [[line[start:end].strip() for line in lines[:at]] for start, end in spans]
    return [" ".join(filter(None, parts)).replace(". ", ".") for parts in pieces]


def test_a_baseline_is_bold_if_all_others_are_worse(tmp_path):
    for head, level in (("fc", 0.9), ("gap", 0.8), ("nin", 0.7)):
        for seed in range(3):
            write_run(tmp_path, head, seed, accuracy=level + 0.001 * seed * (head != "fc"))
    found = compare(collect([tmp_path]), Question())
    (metric,) = (column for column in shown_columns(found) if column.name == "metric")
    assert metric.best_rows(found) == {"fc"}
    other = compare(collect([tmp_path]), Question(baseline="gap"))
    assert metric.best_rows(other) == {"fc"}
