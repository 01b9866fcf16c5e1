"""`--choose`: which setting is chosen, and what is said of how it was."""

import math

import pytest
from asked import answer, row
from synthetic import write_run

from gapfc.compare.answer import compare
from gapfc.compare.choose import Choice, choose, diverged
from gapfc.compare.collect import collect
from gapfc.compare.question import Question
from gapfc.engine.losses import Losses
from gapfc.errors import UserError
from gapfc.records.run import Run

LR = "optimizer.lr"
NAN = "The loss became nan at step 7 (epoch 1) at learning rate 1; no loss before it was finite."


def grid(root, table, head="gap", key=LR):
    """Runs by value of `key`: the validation accuracy of each seed, None where it diverged."""
    for value, seeds in table.items():
        for seed, val in enumerate(seeds):
            if val is None:
                write_run(root, head, seed, config={key: value}, status="failed", error=NAN)
            else:
                write_run(root, head, seed, config={key: value}, results={"val.accuracy": val})


def chosen(root, *keys) -> Choice:
    found = collect([root])
    (choice,) = choose(found.runs, ("head",), keys or (LR,), found.unusable)[1]
    return choice


def notes(root, *keys):
    return compare(collect([root]), Question(choose=keys or (LR,))).notes


def test_choose_takes_each_heads_best_setting_on_validation(tmp_path):
    best = {"fc": 0.1, "gap": 0.3}
    for head, rate in best.items():
        for lr in (0.1, 0.3, 1.0):
            for seed in range(2):
                # The better on validation is the worse in test: test must not choose.
                write_run(tmp_path / "o", head, seed, accuracy=0.8 if lr == rate else 0.9,
                          config={"optimizer.lr": lr},
                          results={"val.accuracy": 0.95 if lr == rate else 0.85})  # fmt: skip
    found = answer(tmp_path / "o", "--choose", "optimizer.lr", tmp=tmp_path)
    assert {c["values"][0]: c["setting"] for c in found["chosen"]} == {"fc": "0.1", "gap": "0.3"}
    assert [r["mean"] for r in found["rows"]] == pytest.approx([0.8, 0.8])
    told = "fc 0.1 of 3 (10.0 points ahead of 0.3); gap 0.3 of 3 (10.0 points ahead of 0.1)"
    assert any(told in note for note in found["notes"])
    assert "every group had the same 3 values of optimizer.lr: 0.1, 0.3, 1.0" in found["notes"]


def test_a_setting_does_not_win_by_the_seeds_it_has(tmp_path):
    for lr, seed, val in ((0.1, 0, 0.90), (0.1, 1, 0.70), (0.3, 0, 0.85)):
        write_run(tmp_path / "o", "gap", seed, config={"optimizer.lr": lr},
                  results={"val.accuracy": val})  # fmt: skip
    found = answer(tmp_path / "o", "--choose", "optimizer.lr", tmp=tmp_path)
    assert found["chosen"][0]["chosen"] == {"optimizer.lr": "0.1"}
    assert found["chosen"][0]["among"] == {"0.1": 0.9, "0.3": 0.85}


def test_one_value_is_no_choice(sweep, tmp_path):
    found = answer(sweep, "--choose", "optimizer.lr", tmp=tmp_path)
    assert "every group had one value of optimizer.lr, 0.05: none was chosen" in found["notes"]
    assert found["constants"]["optimizer.lr"] == "0.05"


@pytest.mark.parametrize(
    ("best", "edge", "told"),
    [
        (0.01, "lowest", "0.01 is the smallest optimizer.lr tried: gap may want less"),
        (0.1, None, None),
        (1.0, "highest", "1.0 is the largest optimizer.lr tried: gap may want more"),
    ],
)
def test_a_choice_at_the_edge_of_the_grid_is_told(tmp_path, best, edge, told):
    grid(tmp_path, {rate: [0.9 if rate == best else 0.8] for rate in (0.01, 0.1, 1.0)})
    assert chosen(tmp_path).at_edge == {LR: edge}
    assert [note for note in notes(tmp_path) if " tried: " in note] == ([told] if told else [])


def test_nothing_lies_below_0_and_words_have_no_edge(tmp_path):
    grid(tmp_path / "a", {0.0: [0.9], 0.5: [0.8]}, key="head.dropout")
    assert chosen(tmp_path / "a", "head.dropout").at_edge == {"head.dropout": None}
    grid(tmp_path / "b", {"cosine": [0.9], "step": [0.8]}, key="schedule.name")
    assert chosen(tmp_path / "b", "schedule").at_edge == {"schedule": None}


def test_a_rate_at_which_a_seed_diverged_is_not_chosen_and_no_edge(tmp_path):
    grid(tmp_path, {0.01: [0.8, 0.8], 0.1: [0.85, 0.85], 1.0: [0.9, None], 10.0: [None, None]})
    choice = chosen(tmp_path)
    assert choice.chosen == {LR: "0.1"}
    assert choice.failed == {"1.0": (1,), "10.0": (0, 1)}
    assert (choice.runner_up, choice.ahead) == ("0.01", pytest.approx(0.05))
    assert choice.at_edge == {LR: None}  # 1 and 10 were tried
    assert choice.tried == ("0.01", "0.1", "1.0", "10.0")
    assert choice.among == {"0.01": 0.8, "0.1": 0.85, "1.0": 0.9}
    said = notes(tmp_path)
    assert "gap at optimizer.lr=1.0: seed 1 diverged, which rules it out" in said
    assert "gap at optimizer.lr=10.0: seeds 0 and 1 diverged, which rules it out" in said


def test_where_every_rate_diverged_the_one_that_did_least_is_chosen(tmp_path):
    grid(tmp_path, {0.1: [0.8, 0.8, None], 1.0: [0.9, None, None]})
    assert chosen(tmp_path).chosen == {LR: "0.1"}
    assert any("seed 2 diverged, and it was chosen as fewer did" in n for n in notes(tmp_path))


def test_only_what_diverged_under_the_same_settings_counts(tmp_path):
    grid(tmp_path, {0.1: [0.8], 1.0: [0.9]})
    other = {"config": {LR: 1.0, "trainer.epochs": 3}, "status": "failed", "error": NAN}
    write_run(tmp_path, "gap", 1, **other)  # another number of epochs
    same = {"config": {LR: 1.0}, "status": "failed"}
    write_run(tmp_path, "gap", 2, **same, error="No space left on device")
    write_run(tmp_path, "gap", 0, **same, error=NAN)  # came through when run again
    write_run(tmp_path, "fc", 3, **same, error=NAN)
    assert chosen(tmp_path).failed == {}
    assert chosen(tmp_path).chosen == {LR: "1.0"}


def test_the_message_of_a_diverged_run_is_known_here(tmp_path):
    for loss in (math.nan, math.inf, -math.inf):
        error = Losses()._message(loss, 3, 0.1, 0)
        assert diverged(Run(tmp_path, "failed", results={"error": error}))
    assert not diverged(Run(tmp_path, "failed", results={"error": "out of memory"}))
    assert not diverged(Run(tmp_path, "interrupted", results={"error": error}))


def test_ties_go_to_the_larger_penalty(tmp_path):
    grid(tmp_path, {1e-4: [0.5], 1e-2: [0.5], 0.1: [0.4]}, key="optimizer.weight_decay")
    choice = chosen(tmp_path, "optimizer.weight_decay")
    assert (choice.chosen, choice.tied) == ({"optimizer.weight_decay": "0.01"}, ("0.0001",))


def test_ties_go_to_the_smaller_rate_and_are_told(tmp_path):
    # The same values in another order, whose sums differ in the last digit.
    grid(tmp_path, {1e-05: [0.5, 0.5, 0.5], 0.3: [0.1, 0.7, 0.9], 0.05: [0.9, 0.7, 0.1]})
    choice = chosen(tmp_path)
    assert (choice.chosen, choice.tied, choice.ahead) == ({LR: "0.05"}, ("0.3",), 0)
    said = "gap 0.05 of 3 (as good as 0.3: the more regularised is taken)"
    assert any(said in note for note in notes(tmp_path))


def test_several_keys_are_chosen_together(tmp_path):
    for lr, dropout, val in ((0.1, 0.0, 0.7), (0.1, 0.5, 0.8), (1.0, 0.0, 0.85), (1.0, 0.5, 0.6)):
        write_run(tmp_path / "o", "fc", 0, config={LR: lr, "head.dropout": dropout},
                  results={"val.accuracy": val})  # fmt: skip
    for lr, val in ((0.1, 0.7), (1.0, 0.9)):
        write_run(tmp_path / "o", "gem", 0, config={LR: lr}, results={"val.accuracy": val})
    found = answer(tmp_path / "o", "--choose", f"{LR},head.dropout", tmp=tmp_path)
    fc, gem = found["chosen"]
    assert fc["chosen"] == {LR: "1.0", "head.dropout": "0.0"}
    assert (fc["runner_up"], fc["ahead"]) == ("lr=0.1, dropout=0.5", pytest.approx(0.05))
    assert fc["at_edge"] == {LR: "highest", "head.dropout": None}
    assert gem["chosen"] == {LR: "1.0", "head.dropout": "absent"}
    assert "1.0 is the largest optimizer.lr tried: fc and gem may want more" in found["notes"]
    assert f"--choose {LR},head.dropout" in found["commands"][-1]
    assert row(found, "fc")["n"] == 1


def test_a_key_that_no_run_has_is_told_as_the_option_says(tmp_path):
    write_run(tmp_path, "gap")
    with pytest.raises(UserError, match=r"--choose optimizer\.rate: no run has the key"):
        notes(tmp_path, "optimizer.rate")
    with pytest.raises(UserError, match="--choose seed: runs are paired by seed"):
        notes(tmp_path, "seed")


def test_where_balanced_accuracy_is_compared_it_chooses_too(tmp_path):
    for lr, (plain, balanced) in {0.1: (0.9, 0.6), 0.3: (0.8, 0.7)}.items():
        values = {"val.accuracy": plain, "val.balanced_accuracy": balanced,
                  "test.balanced_accuracy": balanced}  # fmt: skip
        write_run(tmp_path / "o", "gap", 0, config={LR: lr}, results=values)
    for metric, rate, by in (
        ("test.accuracy", "0.1", "val.accuracy"),
        ("test.nll", "0.1", "val.accuracy"),
        ("test.balanced_accuracy", "0.3", "val.balanced_accuracy"),
    ):
        told = compare(collect([tmp_path / "o"]), Question(metric=metric, choose=(LR,))).notes
        assert any(f"chosen for each group by mean {by}: gap {rate} of 2" in note for note in told)
