"""The small parts: finding runs, naming fields, baselines, curves, what numbers look like."""

import doctest
import importlib
import math

import numpy as np
import pytest
from synthetic import change, write_run, write_transfer

from gapfc.compare.answer import compare
from gapfc.compare.baseline import baseline_of, parse_baseline, usual_baseline
from gapfc.compare.collect import collect
from gapfc.compare.convergence import TimeToTarget, default_target
from gapfc.compare.curves import Curves, over_seeds, read_curve
from gapfc.compare.fields import ABSENT, lookup, metric_of, value_of
from gapfc.compare.metric import measure
from gapfc.compare.question import Question
from gapfc.errors import UserError
from gapfc.formatting import decimals
from gapfc.records.run import Run, find_runs

MODULES = ["fields", "where", "statistics"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"gapfc.compare.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_find_runs_stops_at_a_run_and_passes_hidden_folders(tmp_path):
    path = write_run(tmp_path, "gap", 0)
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "config.yaml").write_text("")
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("")
    assert list(find_runs(tmp_path)) == [path]
    assert list(find_runs(path)) == [path]


def test_runs_of_claims_are_compared_only_by_themselves(tmp_path):
    write_run(tmp_path, "gap", 0)
    write_run(tmp_path / "claims", "fc", 0)
    found = collect([tmp_path])
    assert [run.results["head"] for run in found.runs] == ["gap"]
    assert found.problems == (f"1 run of gapfc claims left out, those below {tmp_path / 'claims'}",)
    alone = collect([tmp_path / "claims"])
    assert [run.results["head"] for run in alone.runs] == ["fc"]
    assert alone.problems == ()


def test_a_directory_given_twice_counts_once(sweep):
    assert len(collect([sweep, sweep / "train"]).runs) == 12


def test_lookup_takes_keys_that_hold_dots():
    tree = {"to": {"0.90": {"epochs": 3}, "0": {"95": 1}}, "none": None}
    assert lookup(tree, "to.0.90.epochs") == 3
    assert lookup(tree, "to.0.95") == 1
    assert lookup(tree, "to.0.80.epochs") is ABSENT
    assert lookup(tree, "none") is None


def test_values_of_a_run(tmp_path):
    path = write_run(tmp_path, "fc", 3, config={"head.hidden": [512, 256]})
    (run,) = collect([path]).runs
    keys = ["head", "head.hidden", "optimizer", "optimizer.lr", "dataset.train_limit"]
    keys += ["status", "x.y"]
    told = {key: value_of(run, key) for key in keys}
    assert told == {
        "head": "fc", "head.hidden": "[512,256]", "optimizer": "SGD", "optimizer.lr": "0.05",
        "dataset.train_limit": "null", "status": "completed", "x.y": ABSENT,
    }  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, True, "0.9", [1]])
def test_only_finite_numbers_are_a_metric(tmp_path, value):
    run = Run(tmp_path, "completed", results={"test": {"accuracy": value}})
    assert metric_of(run, "test.accuracy") is None


@pytest.mark.parametrize(
    ("path", "better", "scale"),
    [
        ("test.accuracy", 1, 100), ("test.top5", 1, 100), ("test.nll", -1, 1), ("val.ece", -1, 1),
        ("generalization_gap.accuracy", -1, 100), ("parameters.head", -1, 1),
        ("convergence.to_accuracy.0.90.epochs", -1, 1), ("convergence.area_under_curve", 1, 1),
        ("train_seconds", -1, 1), ("images_per_second", 1, 1),
        ("transfer.gain_over_scratch", 1, 100), ("test.macro_f1", 1, 100),
        ("val.balanced_accuracy", 1, 100),
    ],
)  # fmt: skip
def test_direction_and_unit(path, better, scale):
    found = measure(path)
    assert (found.better, found.scale, found.assumed) == (better, scale, False)
    assert measure(path, "lower").better == -1


@pytest.mark.parametrize(
    ("path", "better"),
    [
        ("best_epoch", 1), ("transfer.cka.stage1", 1), ("transfer.drift.stage1.conv", -1),
        ("transfer.drift_total.backbone", -1), ("transfer.drift_head.classifier.0", -1),
    ],
)  # fmt: skip
def test_what_is_neither_good_nor_bad_has_an_assumed_direction(path, better):
    found = measure(path)
    assert (found.better, found.assumed) == (better, True)
    assert not measure(path, "higher").assumed


def test_an_assumed_direction_is_said(sweep, tmp_path):
    found = compare(collect([sweep]), Question(metric="best_epoch"))
    assert "best_epoch: taken as higher is better; --direction lower says otherwise" in found.notes
    for head in ("fc", "gap"):
        run = write_transfer(tmp_path, head, "finetune", 0)
        change(run, {}, {"transfer.drift_total": {"backbone": 0.1}})
    asked = Question(metric="transfer.drift_total.backbone", by=("source.head",))
    notes = compare(collect([tmp_path / "transfer"]), asked).notes
    assert any("taken as lower is better; --direction higher" in note for note in notes)


def test_decimals_show_two_digits_of_the_spread():
    assert decimals(0.42, 97) == 2
    assert decimals(1.2, 97) == 1
    assert decimals(34, 97) == 0
    assert decimals(None, 1.0) == decimals(None, 0.96 * 100 - 0.95 * 100)
    assert decimals(0.0, 0.0) == 2


BY = ("head", "head.hidden")
GROUPS = [("fc", "[]"), ("fc", "[512]"), ("gap", "[]"), ("nin", "absent")]


def test_baseline_with_the_same_other_values():
    spec = parse_baseline("fc", BY, GROUPS)
    assert spec == {"head": "fc"}
    assert baseline_of(("gap", "[]"), spec, BY, GROUPS) == ("fc", "[]")
    assert baseline_of(("fc", "[512]"), spec, BY, GROUPS) == ("fc", "[512]")
    assert baseline_of(("nin", "absent"), spec, BY, GROUPS) is None


def test_a_baseline_that_fits_one_group_is_that_of_all():
    spec = parse_baseline("head=fc,head.hidden=[ 512 ]", BY, GROUPS)
    assert {baseline_of(group, spec, BY, GROUPS) for group in GROUPS} == {("fc", "[512]")}


def test_a_row_without_a_baseline_says_so(tmp_path):
    for seed in range(2):
        write_run(tmp_path, "fc", seed, config={"head.hidden": [64]})
        write_run(tmp_path, "fc", seed, config={"head.hidden": []})
        write_run(tmp_path, "gap", seed)
        write_run(tmp_path, "nin", seed)
    found = compare(collect([tmp_path]), Question(by=BY, baseline="fc"))
    assert found.row("nin").paired is None
    assert found.row("nin").no_comparison == "no baseline with the same other values"


def test_usual_baselines():
    assert usual_baseline(("head",), [("gap",), ("fc",)]) == {"head": "fc"}
    assert usual_baseline(("head",), [("nin",), ("gap",)]) == {"head": "gap"}
    assert usual_baseline(BY, GROUPS) == {"head": "fc", "head.hidden": "[512]"}
    protocols = [(head, p) for head in ("fc", "gap") for p in ("scratch", "finetune")]
    assert usual_baseline(("source.head", "protocol"), protocols) == {"protocol": "scratch"}


def test_an_ambiguous_baseline_is_asked_back():
    with pytest.raises(UserError, match=r"is it head=fc or source\.head=fc"):
        parse_baseline("fc", ("head", "source.head"), [("fc", "fc"), ("gap", "fc")])


def test_medians_of_censored_times():
    inf = math.inf
    told = {
        (1.0, 2.0, 3.0): "2.0", (1.0, 2.0): "1.5", (1.0, 2.0, inf): "2.0 (2/3)",
        (1.0, inf): ">12 (1/2)", (inf, inf, inf): ">12 (0/3)", (): "–",
    }  # fmt: skip
    for times, text in told.items():
        assert TimeToTarget(dict(enumerate(times)), 12.0).text() == text


def test_the_default_target_is_the_highest_that_half_of_the_runs_reached(tmp_path):
    for seed, reached in enumerate((None, 5.0, 6.0, None)):
        table = {
            "0.50": {"epochs": 1.0, "steps": 1, "seconds": 1.0},
            "0.90": {"epochs": reached, "steps": None, "seconds": reached},
            "0.99": {"epochs": None, "steps": None, "seconds": None},
        }
        write_run(tmp_path, "gap", seed, results={"convergence.to_accuracy": table})
    assert default_target(collect([tmp_path]).runs) == 0.90


def test_means_stop_where_the_first_run_stopped(tmp_path):
    write_run(tmp_path, "gap", 0)
    write_run(tmp_path, "gap", 1, config={"trainer.epochs": 5})
    runs = collect([tmp_path]).runs
    xs, ys = over_seeds(runs, Curves(), "epoch", "val_accuracy")
    assert list(xs) == [1, 2, 3, 4, 5]
    values = [read_curve(run.path / "metrics.csv")["val_accuracy"][:5] for run in runs]
    np.testing.assert_array_equal(ys, values)


def test_an_unreadable_curve_is_named(tmp_path):
    path = write_run(tmp_path, "gap", 0)
    (path / "metrics.csv").write_text("epoch,val_accuracy\n1,x\n2,0.5\n")
    curves = Curves()
    (run,) = collect([tmp_path]).runs
    assert curves.of(run) is None
    assert curves.of(run) is None
    assert len(curves.problems) == 1
    assert str(path) in curves.problems[0]
