"""A run whose files say nonsense is compared by what is left of it, or named: never a crash."""

import copy
import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import change, write_run, write_transfer

from gapfc.cli.commands.compare import main
from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.fields import metric_of
from gapfc.compare.output.plots import drawings
from gapfc.compare.output.plots.sheet import NARROW, WIDE
from gapfc.compare.question import Question
from gapfc.errors import UserError
from gapfc.records.run import Run

NONSENSE = (
    None, True, -1, 10**400, 1e308, float("nan"), float("inf"), "", "high", "\x1b[31m", "x" * 10**5,
    [], [[1], [2]], {}, {"a": {"b": [1]}}, {"0.90": 3, "x": None, "nan": {}},
)  # fmt: skip


def paths(tree, path=()):
    """Every node of nested dicts, the root too."""
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from paths(value, (*path, key))


def with_value(tree, path, value):
    """A copy of `tree` with `value` at `path`."""
    if not path:
        return value
    changed = copy.deepcopy(tree)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


class Runs:
    """Two good groups and a run whose files can be spoilt."""

    def __init__(self, folder):
        for head in ("fc", "gap"):
            for seed in (0, 1):
                write_transfer(folder, head, "finetune", seed)
        self.folder = folder
        self.bad = write_transfer(folder, "nin", "finetune", 0)
        self.content = {
            "results.json": json.loads((self.bad / "results.json").read_text()),
            "config.yaml": yaml.safe_load((self.bad / "config.yaml").read_text()),
        }
        self.places = [(name, p) for name, tree in self.content.items() for p in paths(tree)]

    def spoil(self, place, value):
        """Write both files, one of them with `value` at `place`."""
        name, path = place
        for each, tree in self.content.items():
            tree = with_value(tree, path, value) if each == name else tree
            text = json.dumps(tree) if each == "results.json" else yaml.safe_dump(tree)
            (self.bad / each).write_text(text)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("nonsense") / "runs")


def compared(runs, capsys, place, value):
    """compare survives: the good groups are compared, or it says in what the bad run differs."""
    runs.spoil(place, value)
    out = runs.folder.parent
    try:
        main([str(runs.folder), "--by", "source.head", "--csv", str(out / "t.csv"),
              "--json", str(out / "t.json"), "--markdown", str(out / "t.md")])  # fmt: skip
    except UserError as error:
        if "differ in more than" not in str(error):
            raise
        return
    text = capsys.readouterr().out
    assert "gap is " in text or "fc and gap" in text or "gap and fc" in text
    assert all(c.isprintable() or c == "\n" for c in text)


FIXTURE = HealthCheck.function_scoped_fixture  # capsys: read after each example


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[FIXTURE])
@given(data=st.data())
def test_nonsense_anywhere_in_a_run_never_stops_compare(runs, capsys, data):
    place = data.draw(st.sampled_from(runs.places))
    compared(runs, capsys, place, data.draw(st.sampled_from(NONSENSE)))


@pytest.mark.slow
def test_all_nonsense_everywhere_in_a_run_never_stops_compare(runs, capsys):
    for place in runs.places:
        for value in NONSENSE:
            compared(runs, capsys, place, value)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_pictures_are_drawn_of_what_is_left(runs, data):
    places = [place for place in runs.places if place[0] == "results.json"]
    runs.spoil(data.draw(st.sampled_from(places)), data.draw(st.sampled_from(NONSENSE)))
    try:
        found = compare(collect([runs.folder]), Question(by=("source.head",)))
    except UserError as error:
        if "differ in more than" not in str(error):
            raise
        return
    for _, drawing in (*drawings(found, WIDE), *drawings(found, NARROW)):
        drawing.figure.canvas.draw()


@pytest.mark.parametrize("value", [10**400, 1e308, float("nan"), float("inf"), True, "0.9", [0.9]])
def test_what_nothing_can_have_measured_is_absent(value):
    run = Run("x", "completed", results={"test": {"accuracy": value}})
    assert metric_of(run, "test.accuracy") is None


def test_a_broken_run_is_named_also_under_where(tmp_path, capsys):
    for head in ("fc", "gap"):
        write_run(tmp_path, head)
    deep = '{"test": ' + "[" * 200 + "]" * 200 + "}"
    (write_run(tmp_path, "spp") / "results.json").write_text(deep)
    assert main([str(tmp_path), "--where", "command=train"]) == 0
    assert main([str(tmp_path), "--where", "head=fc,gap"]) == 0  # its config says spp
    first, second = capsys.readouterr().out.split("Baseline")[1:]
    assert "results.json cannot be read: it is nested too deeply" in first
    assert "cannot be read" not in second


def test_targets_and_times_that_are_none_are_left_out(tmp_path):
    for head, seeds in (("fc", 2), ("gap", 2)):
        for seed in range(seeds):
            run = write_run(tmp_path, head, seed)
    table = {"0.90": {"epochs": "3", "seconds": []}, "nan": {}, "7": {}, "x": 3, "0.5": None}
    change(run, {}, {"convergence": {"to_accuracy": table}, "epochs": None})
    found = compare(collect([tmp_path]), Question(target=0.9))
    assert found.row("gap").epochs.text().endswith("(1/2)")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("9" * 20, "has '99999999999999999999' as step; not in the curves"),
        ("9" * 400, "gap is"),
        ("x", "not in the curves"),
    ],
)
def test_a_curve_that_cannot_be_is_named_and_left_out(tmp_path, capsys, cell, said):
    for head in ("fc", "gap"):
        run = write_run(tmp_path / "runs", head)
    lines = (run / "metrics.csv").read_text().splitlines()
    lines[1] = f"1,{cell}," + lines[1].split(",", 2)[2]
    (run / "metrics.csv").write_text("\n".join(lines) + "\n")
    assert main([str(tmp_path / "runs"), "--target", "0.77"]) == 0
    assert said in capsys.readouterr().out
