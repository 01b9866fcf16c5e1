"""From runs to an estimate, and what stands in the way of a verdict."""

import math

import numpy as np
import pytest
from planted import claim, preset, rights, trial, verdict_of, with_probe, writer
from synthetic import write_run

from gapfc.claims.measured import errors, measure
from gapfc.claims.verdict import (
    EQUIVALENT,
    NOT_TESTABLE,
    OPPOSITE,
    SUPPORTED,
    UNDECIDED,
    in_unit,
)
from gapfc.compare.collect import with_probes
from gapfc.compare.crossed import crossed
from gapfc.errors import UserError
from gapfc.records.run import read_run

ACCURACY = "primary: {metric: test.accuracy, of: gap, against: fc, says: higher}"


def runs(root, head, seeds=range(3), **options):
    return {seed: read_run(write_run(root, head, seed, **options)) for seed in seeds}


def contrast(text):
    (found,) = claim(text).primary
    return found


def test_accuracy_is_measured_over_seeds_and_images(tmp_path):
    right = rights(4, 50, 0.8, 0.6, np.random.default_rng(0))
    made = trial(writer(tmp_path, right), preset(4))
    tested = verdict_of(made, claim(ACCURACY.replace("higher", "lower")))
    (answer,) = tested.answers
    d = right["gap"].astype(float) - right["fc"]
    assert answer.measured.estimate.mean == pytest.approx(-d.mean())  # in the claim's direction
    assert answer.measured.estimate.interval() == pytest.approx(crossed(-d).interval())
    assert answer.measured.of == pytest.approx(right["gap"].mean())
    assert answer.measured.against == pytest.approx(right["fc"].mean())
    assert made.runs.made == 8


def test_a_drop_is_clean_minus_shifted_of_each_image(tmp_path):
    generator = np.random.default_rng(1)
    clean, shifted = rights(3, 40, 0.9, 0.9, generator), rights(3, 40, 0.7, 0.4, generator)
    made = trial(with_probe(writer(tmp_path, clean), shifted, clean), preset(3))
    text = "primary: {metric: probe.shift.zero.4.drop, of: gap, against: fc, says: lower}"
    (answer,) = verdict_of(made, claim(text)).answers
    drop = {head: clean[head].astype(float) - shifted[head] for head in clean}
    d = drop["fc"] - drop["gap"]
    assert answer.measured.estimate.mean == pytest.approx(d.mean())
    assert answer.measured.estimate.variance == pytest.approx(crossed(d).variance)
    assert answer.measured.estimate.images == 40


def test_the_gap_to_training_is_measured_over_images_too(tmp_path):
    right = rights(3, 40, 0.8, 0.6, np.random.default_rng(2))
    train = {"gap": 0.95, "fc": 0.99}

    def make(settings):
        head, seed = settings["head"], settings["seed"]
        gap = train[head] - right[head][seed].mean()
        facts = {"train.accuracy": train[head], "generalization_gap.accuracy": gap}
        return writer(tmp_path, right, results=facts)(settings)

    text = "primary: {metric: generalization_gap.accuracy, of: gap, against: fc, says: lower}"
    (answer,) = verdict_of(trial(make, preset(3)), claim(text)).answers
    d = (0.99 - right["fc"]) - (0.95 - right["gap"].astype(float))
    assert answer.measured.estimate.mean == pytest.approx(d.mean())
    assert answer.measured.estimate.variance == pytest.approx(crossed(d).variance)


def test_several_metrics_are_their_mean(tmp_path):
    ours = runs(tmp_path, "gap", results={"test.a": 0.2, "test.b": 0.4})
    theirs = runs(tmp_path, "fc", results={"test.a": 0.1, "test.b": 0.1})
    found = measure(
        contrast("primary: {metric: [test.a, test.b], of: gap, against: fc, says: higher}"),
        ours, theirs,
    )  # fmt: skip
    assert found.of == pytest.approx(0.3)
    assert found.estimate.mean == pytest.approx(0.2)


def test_factors_are_of_logarithms(tmp_path):
    text = "unit: factor, primary: {metric: train_seconds, of: gap, against: fc, says: lower}"
    slow, fast = [30.0, 20.0, 40.0], [10.0, 11.0, 12.0]
    ours, theirs = (
        {
            seed: read_run(write_run(tmp_path, head, seed, results={"train_seconds": value}))
            for seed, value in enumerate(values)
        }
        for head, values in (("gap", slow), ("fc", fast))
    )
    found = measure(contrast(text), ours, theirs)
    logs = [-math.log(a / b) for a, b in zip(slow, fast, strict=True)]
    assert found.estimate.values == pytest.approx(logs)
    assert not found.exact
    theirs[0].results["train_seconds"] = 0.0
    found = measure(contrast(text), ours, theirs)
    assert found.estimate is None
    assert found.obstacle == "one of both is 0: there is no factor"


def test_a_quotient_is_exact_where_its_parts_are(tmp_path):
    text = (
        "primary: {metric: parameters.head / parameters.total, of: gap, against: fc, says: lower}"
    )
    found = measure(contrast(text), runs(tmp_path, "gap", [0]), runs(tmp_path, "fc", [0]))
    assert found.exact
    assert found.of == pytest.approx(5130 / (1_206_336 + 5130))
    assert found.obstacle == ""


@pytest.mark.parametrize(
    ("metric", "wrong"),
    [("test.accuracy", 8), ("probe.shift.zero.4.drop", 12), ("generalization_gap.accuracy", 8)],
)
def test_errors_are_counted_where_the_metric_counts_them(tmp_path, metric, wrong):
    clean = {"fc": np.arange(40)[None] >= 8}
    shifted = {"fc": np.arange(40)[None] >= 12}
    make = with_probe(writer(tmp_path, clean), shifted, clean)
    (run,), _ = with_probes([read_run(make({"head": "fc", "seed": 0}))])
    item = f"primary: {{metric: {metric}, of: gap, against: fc, says: lower}}"
    assert errors(contrast(item), [run]) == wrong


def kind(root, text, of=None, **options):
    """The verdict on made-up runs without predictions; options: by head."""

    def make(settings):
        return write_run(root, settings["head"], settings["seed"], **options[settings["head"]])

    return verdict_of(trial(make, of), claim(text)).verdict


def test_few_seeds(tmp_path):
    right = rights(2, 200, 0.9, 0.5, np.random.default_rng(3))
    found = verdict_of(trial(writer(tmp_path, right), preset(2)), claim(ACCURACY)).verdict
    assert (found.kind, found.why) == (NOT_TESTABLE, "fewer than 3 seeds")
    assert found.change == "more seeds would help"


def test_near_the_ceiling(tmp_path):
    right = {"gap": np.ones((3, 300), bool), "fc": np.tile(np.arange(300) >= 29, (3, 1))}
    made = trial(writer(tmp_path, right), preset(3))
    found = verdict_of(made, claim(ACCURACY)).verdict
    assert found.kind == NOT_TESTABLE
    assert found.why == "near the ceiling: fc gets only 29 test images wrong"
    # Below is room enough; and 30 errors are enough.
    assert verdict_of(made, claim(ACCURACY.replace("higher", "lower"))).verdict.kind == OPPOSITE
    right["fc"][:, 29] = False
    made = trial(writer(tmp_path / "more", right), preset(3))
    assert verdict_of(made, claim(ACCURACY)).verdict.kind == SUPPORTED


def test_maps_of_one_place(tmp_path):
    small = {"results": {"feature_map": [512, 1, 1]}}
    found = kind(tmp_path, ACCURACY, gap=small, fc=small)
    assert (found.kind, found.why) == (
        NOT_TESTABLE, "the feature map is 1×1, on which every head is fc",
    )  # fmt: skip
    text = "unit: factor, primary: {metric: parameters.head, of: gap, against: fc, says: lower}"
    assert kind(tmp_path / "exact", text, gap=small, fc=small).kind == SUPPORTED


def test_diverged_runs(tmp_path):
    lost = {"status": "failed", "error": "The loss became nan at step 3"}
    found = kind(tmp_path, ACCURACY, gap=lost, fc={})
    assert (found.kind, found.why) == (NOT_TESTABLE, "5 runs diverged")
    assert found.change == "smaller rates would help (preset.rates)"


def test_one_diverged_run_of_many(tmp_path):
    lost = {"status": "failed", "error": "The loss became nan at step 3"}

    def make(settings):
        head, seed = settings["head"], settings["seed"]
        options = lost if (head, seed) == ("fc", 2) else {}
        return write_run(tmp_path, head, seed, **options)

    found = verdict_of(trial(make), claim(ACCURACY)).verdict
    assert (found.kind, found.why) == (NOT_TESTABLE, "1 run diverged")


def test_a_metric_that_runs_do_not_have(tmp_path):
    asked = claim(ACCURACY.replace("test.accuracy", "test.accurate"))
    made = trial(lambda s: write_run(tmp_path, s["head"], s["seed"]))
    found = verdict_of(made, asked).verdict
    assert (found.kind, found.why) == (NOT_TESTABLE, "test.accurate: no value in these runs")


def test_why_a_probe_could_not_be_carried_out(tmp_path):
    asked = claim(ACCURACY.replace("test.accuracy", "probe.cam.pointing"))
    made = trial(lambda s: write_run(tmp_path, s["head"], s["seed"]))
    seen = []

    def probe(paths, probes):
        seen.append((len(paths), probes))
        return {paths[3]: "cam: digits has no boxes"}

    made.probe = probe
    found = verdict_of(made, asked).verdict
    assert (found.kind, found.why) == (NOT_TESTABLE, "cam: digits has no boxes")
    assert seen == [(10, ("cam",))]


def test_a_control_whose_runs_cannot_be_is_left_out(tmp_path):
    def make(settings):
        if settings.get("head.levels"):
            raise UserError("head.levels: too many for this map")
        return write_run(tmp_path, settings["head"], settings["seed"])

    asked = claim(f"{ACCURACY}, controls: {{of: spp, name: with levels}}")
    made = trial(make)
    said = []
    made.tell = said.append
    tested = verdict_of(made, asked)
    first, second = tested.answers
    assert (second.primary, second.verdict.kind) == (False, NOT_TESTABLE)
    assert second.verdict.why == "head.levels: too many for this map"
    assert first.primary
    assert tested.verdict.kind == first.verdict.kind
    assert "[1 of 1] claim 1 on made: spp: left out: head.levels: too many for this map" in said
    asked = claim(ACCURACY.replace("of: gap", "of: spp"))
    with pytest.raises(UserError, match=r"head\.levels: too many"):
        verdict_of(trial(make), asked)


def test_a_value_is_compared_as_it_is(tmp_path):
    text = "unit: value, primary: {metric: test.nll, of: gap, against: fc, says: lower}"
    ours = runs(tmp_path, "gap", results={"test.nll": 0.25})
    theirs = runs(tmp_path, "fc", results={"test.nll": 3.0})
    found = measure(contrast(text), ours, theirs)
    assert found.estimate.mean == pytest.approx(2.75)
    assert found.estimate.images == 0
    assert in_unit(contrast(text), 2) == 2


STEPS = "convergence.to_accuracy.0.90.steps"


def convergence(root, says, gap, fc):
    """The verdict on steps to a target, by seed; None: never reached in 216 steps."""

    def make(settings):
        value = {"gap": gap, "fc": fc}[settings["head"]][settings["seed"]]
        reached = {"epochs": 1.0, "steps": value, "seconds": 1.0}
        facts = {"convergence.to_accuracy": {"0.90": None if value is None else reached}}
        return write_run(root, settings["head"], settings["seed"], results=facts)

    asked = claim(f"unit: factor, primary: {{metric: {STEPS}, of: gap, against: fc, says: {says}}}")
    return verdict_of(trial(make, preset(len(gap))), asked)


@pytest.mark.parametrize(
    ("says", "gap", "fc", "kind"),
    [
        ("higher", [100, 110, 120], [20, 22, 25], SUPPORTED),
        # gap would have needed more: all the more so.
        ("higher", [None, None, 150], [20, 22, 25], SUPPORTED),
        ("higher", [None, None, None], [20, 22, 25], SUPPORTED),
        ("lower", [20, 22, 25], [None, 120, 150], SUPPORTED),
        ("higher", [20, 22, 25], [None, 120, 150], OPPOSITE),
        ("lower", [None, 110, 150], [20, 22, 25], OPPOSITE),
        # The true difference may be on either side of what is seen.
        ("higher", [None, 110, 150], [20, 22, None], UNDECIDED),
        ("higher", [20, 22, 25], [20, 22, None], UNDECIDED),
        ("higher", [100, 101, 103], [99, 103, None], UNDECIDED),
    ],
)
def test_runs_that_never_reached_the_target_count_with_their_last_step(
    tmp_path, says, gap, fc, kind
):
    tested = convergence(tmp_path, says, gap, fc)
    assert tested.verdict.kind == kind
    measured = tested.answers[0].measured
    assert (measured.censored_of, measured.censored_against) == (gap.count(None), fc.count(None))
    assert measured.of == pytest.approx(np.mean([216 if v is None else v for v in gap]))
    if kind == UNDECIDED:
        assert tested.verdict.change == "more epochs would help"
        assert "never reached the target" in tested.verdict.why


def test_a_target_that_no_run_reached_says_nothing(tmp_path):
    tested = convergence(tmp_path, "higher", [None] * 3, [None] * 3)
    verdict, measured = tested.verdict, tested.answers[0].measured
    assert (verdict.kind, verdict.why) == (NOT_TESTABLE, "no run of either reached the target")
    assert verdict.change == "more epochs would help"
    assert (measured.estimate, measured.of, measured.against) == (None, None, None)


def test_equal_steps_but_for_censoring(tmp_path):
    tested = convergence(tmp_path, "higher", [100, 101, 103], [100, 102, 103])
    assert tested.verdict.kind == EQUIVALENT
