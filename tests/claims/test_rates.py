"""Learning rates: chosen on validation, from a grid that grows at its edge."""

from dataclasses import replace

import pytest
from planted import claim, preset, trial, verdict_of
from synthetic import write_run

from gapfc.claims.rates import choose_rate
from gapfc.claims.verdict import NOT_TESTABLE
from gapfc.records.run import read_run


def chosen(root, accuracy, of=None):
    """By validation accuracy at each rate; None: it diverged. And the rates that were tried."""
    tried = []

    def run(rate, seed):
        tried.append(rate)
        value = accuracy(rate)
        lost = {"status": "failed", "error": "The loss became inf at step 9"}
        options = lost if value is None else {"results": {"val.accuracy": value}}
        return read_run(write_run(root, "gap", seed, config={"optimizer.lr": rate}, **options))

    return choose_rate(of or preset(), run), sorted(set(tried))


def test_the_best_rate_inside_the_grid(tmp_path):
    rate, tried = chosen(tmp_path, {0.001: 0.8, 0.003: 0.9, 0.01: 0.7}.get)
    assert (rate.value, rate.obstacle) == (0.003, "")
    assert rate.words == "0.003 of 0.001, 0.003, 0.01"
    assert tried == [0.001, 0.003, 0.01]


def test_the_grid_is_extended_where_its_edge_is_best(tmp_path):
    accuracy = {0.001: 0.7, 0.003: 0.8, 0.01: 0.9, 0.03: 0.5}
    rate, tried = chosen(tmp_path, accuracy.get)
    assert (rate.value, rate.obstacle) == (0.01, "")
    assert tried == [0.001, 0.003, 0.01, 0.03]
    accuracy = {0.001: 0.9, 0.003: 0.8, 0.01: 0.7, 0.000333: 0.5}
    rate, tried = chosen(tmp_path / "low", accuracy.get)
    assert (rate.value, rate.obstacle) == (0.001, "")
    assert tried == [0.000333, 0.001, 0.003, 0.01]


def test_the_grid_grows_until_its_edge_is_not_best_or_three_times(tmp_path):
    accuracy = {0.001: 0.6, 0.003: 0.7, 0.01: 0.8, 0.03: 0.85, 0.09: 0.9, 0.27: 0.3}
    rate, tried = chosen(tmp_path, accuracy.get)
    assert (rate.value, rate.obstacle) == (0.09, "")
    assert tried == [0.001, 0.003, 0.01, 0.03, 0.09, 0.27]
    rate, tried = chosen(tmp_path / "all", lambda rate: 0.5 + rate)
    assert tried == [0.001, 0.003, 0.01, 0.03, 0.09, 0.27]
    assert rate.value == 0.27
    assert rate.obstacle == (
        "the highest rate tried, 0.27, is the best, also after the grid was extended"
    )


def test_a_tie_with_an_inner_rate_is_no_edge(tmp_path):
    rate, tried = chosen(tmp_path, {0.001: 0.9, 0.003: 0.9, 0.01: 0.8}.get)
    assert (rate.value, rate.obstacle) == (0.001, "")
    assert rate.words == "0.001 of 0.001, 0.003, 0.01, tied with 0.003"
    assert tried == [0.001, 0.003, 0.01]


def test_a_rate_at_which_training_diverges_is_not_chosen(tmp_path):
    rate, tried = chosen(tmp_path, {0.001: 0.8, 0.003: 0.9, 0.01: None}.get)
    assert rate.value == 0.003
    assert rate.obstacle == ""  # beyond it lies a rate that fails
    assert rate.words == "0.003 of 0.001, 0.003, 0.01; diverged at 0.01"
    assert tried == [0.001, 0.003, 0.01]
    rate, _ = chosen(tmp_path / "none", lambda rate: None)
    assert (rate.value, rate.obstacle) == (None, "training diverged at all rates")


def test_one_rate_is_no_choice(tmp_path):
    rate, tried = chosen(tmp_path, lambda rate: 0.9, preset(rates=[0.01]))
    assert (rate.value, rate.obstacle, tried) == (0.01, "", [0.01])


ARMS = "{gap: {head: gap}, fc: {head: fc, rate: %s}}"


@pytest.mark.parametrize(
    ("fc", "why"), [("own", "gap: the highest rate tried"), ("gap", "gap: the")]
)
def test_a_claim_cannot_rest_on_a_rate_at_the_edge(tmp_path, fc, why):
    def make(settings):
        rate = settings["optimizer.lr"]
        value = 0.5 + rate if settings["head"] == "gap" else 0.9 - abs(rate - 0.003)
        facts, config = {"val.accuracy": value}, {"optimizer.lr": rate}
        head, seed = settings["head"], settings["seed"]
        return write_run(tmp_path, head, seed, results=facts, config=config)

    asked = claim("primary: {metric: test.accuracy, of: gap, against: fc, says: higher}")
    arms = {
        "gap": replace(asked.arms["gap"], rate="own"), "fc": replace(asked.arms["fc"], rate=fc),
    }  # fmt: skip
    tested = verdict_of(trial(make), replace(asked, arms=arms))
    assert tested.verdict.kind == NOT_TESTABLE
    assert tested.verdict.why.startswith(why)
    assert tested.verdict.change == "other rates to choose from would help (preset.rates)"
    assert tested.rates["gap"].value == 0.27
    assert tested.rates["fc"].value == (0.003 if fc == "own" else 0.27)


def test_an_arm_at_the_rate_of_one_that_diverged_is_told_so(tmp_path):
    def make(settings):
        config = {"optimizer.lr": settings.get("optimizer.lr", 0.05)}
        lost = {"status": "failed", "error": "The loss became nan at step 1"}
        head, seed = settings["head"], settings["seed"]
        return write_run(tmp_path, head, seed, config=config, **lost)

    asked = claim("primary: {metric: test.accuracy, of: gap, against: fc, says: higher}")
    arms = {
        "gap": replace(asked.arms["gap"], rate="own"), "fc": replace(asked.arms["fc"], rate="gap"),
    }  # fmt: skip
    tested = verdict_of(trial(make), replace(asked, arms=arms))
    assert (tested.verdict.kind, tested.verdict.why) == (NOT_TESTABLE, "10 runs diverged")


def test_as_many_runs_are_foretold_as_are_made_where_the_grid_does(tmp_path):
    def make(settings):
        rate = settings["optimizer.lr"]
        facts = {"val.accuracy": 0.9 - abs(rate - (0.01 if settings["head"] == "gap" else 0.003))}
        config = {"optimizer.lr": rate, "backbone.widths": settings.get("backbone.widths")}
        return write_run(tmp_path, settings["head"], settings["seed"], results=facts, config=config)

    asked = claim(
        "primary: {metric: test.accuracy, of: gap, against: fc, says: higher}, controls:"
        " [{of: spp, name: levels}, {of: fc, against: gap, name: the same arms}]"
    )
    arms = {
        "gap": replace(asked.arms["gap"], rate="own"), "fc": replace(asked.arms["fc"], rate="own"),
        "spp": replace(asked.arms["gap"], name="spp", rate="fc", seeds=4),
    }  # fmt: skip
    made, said = trial(make, preset(rates=[0.001, 0.003, 0.01, 0.03])), []
    made.tell = said.append
    verdict_of(made, replace(asked, arms=arms))
    # 4 rates by 2 seeds and 3 more seeds, for gap and for fc; of gap at fc's rate two were tried.
    assert made.runs.made == 11 + 11 + 2
    assert said[0] == "about 26 runs, fewer where some are there already"
    assert " · ends about " in said[1]
    assert " · ends about " not in said[3]
