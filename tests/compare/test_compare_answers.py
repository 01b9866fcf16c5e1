"""What `gapfc compare` answers: numbers, sentences, convergence, the chosen setting."""

import numpy as np
import pytest
from asked import answer, row
from scipy import stats
from synthetic import write_run

from gapfc.cli.commands.compare import main


def test_numbers_equal_scipys_on_the_values_of_the_runs(sweep, tmp_path):
    found = answer(sweep, "--baseline", "fc", tmp=tmp_path)
    assert found["runs_found"] == found["runs_compared"] == 12
    tests = {}
    for head in ("gap", "nin", "spp"):
        a, b = ([row(found, name)["values"][str(s)] for s in range(3)] for name in (head, "fc"))
        reference = stats.ttest_rel(a, b)
        pair = row(found, head)["paired"]
        assert pair["p"] == pytest.approx(reference.pvalue)
        assert pair["mean"] == pytest.approx(np.mean(a) - np.mean(b))
        ends = reference.confidence_interval(0.95)
        assert [pair["interval"][end] for end in ("low", "high")] == pytest.approx(list(ends))
        assert pair["seeds"] == [0, 1, 2]
        tests[head] = reference.pvalue
    smallest = min(tests, key=tests.get)
    assert row(found, smallest)["paired"]["p_holm"] == pytest.approx(min(1, 3 * tests[smallest]))
    assert row(found, "fc")["is_baseline"]
    means = [row["mean"] for row in found["rows"]]
    assert means == sorted(means, reverse=True)
    assert found["best"] == found["rows"][0]["label"]


def test_values_are_those_of_results_json(tmp_path):
    for seed, accuracy in enumerate((0.91, 0.92, 0.96)):
        write_run(tmp_path / "o", "fc", seed, accuracy=0.90)
        write_run(tmp_path / "o", "gap", seed, accuracy=accuracy)
    found = answer(tmp_path / "o", tmp=tmp_path)
    gap = row(found, "gap")
    assert gap["mean"] == pytest.approx(0.93)
    assert gap["paired"]["differences"] == pytest.approx([0.01, 0.02, 0.06])
    assert gap["parameters"] == 1_206_336 + 5_130
    assert gap["paired"]["probability_better"] == 1


def test_lower_is_better_for_a_loss(sweep, tmp_path, capsys):
    found = answer(sweep, "--metric", "test.nll", tmp=tmp_path)
    means = [row["mean"] for row in found["rows"]]
    assert means == sorted(means)
    gap = row(found, "gap")["paired"]
    assert gap["mean"] < 0
    assert gap["probability_better"] == 1
    assert "lower (better) than fc in test.nll" in capsys.readouterr().out


def test_one_seed_says_so(tmp_path, capsys):
    write_run(tmp_path, "fc", 0, accuracy=0.95)
    write_run(tmp_path, "gap", 0, accuracy=0.96)
    main([str(tmp_path)])
    out = capsys.readouterr().out
    assert "gap is 1.0 points better than fc (one seed: no interval)." in out
    assert "±" not in out


def test_sentences_tell_apart_or_not(tmp_path, capsys):
    for seed in range(5):
        write_run(tmp_path, "fc", seed, accuracy=0.90 + 0.001 * seed)
        write_run(tmp_path, "gap", seed, accuracy=0.92 + 0.001 * seed + 0.0001 * (seed % 2))
        write_run(tmp_path, "nin", seed, accuracy=0.90 + 0.001 * (4 - seed) + 0.0001)
        write_run(tmp_path, "gmp", seed, accuracy=0.90 + 0.001 * seed)
    main([str(tmp_path)])
    out = capsys.readouterr().out
    assert "gap is 2.0" in out
    assert "points better than fc (95% interval 2.0" in out
    assert "nin and fc are not told apart (difference +0.0" in out
    assert "over 5 seeds, on these test images): differences above 0.4 points are excluded." in out
    assert "gmp and fc are equal in test.accuracy on each of 5 seeds." in out


def test_a_difference_that_does_not_survive_the_correction_is_not_claimed(sweep, tmp_path, capsys):
    out = (main([str(sweep)]), capsys.readouterr().out)[1]
    found = answer(sweep, tmp=tmp_path)
    for made, sentence in zip(
        [r for r in found["rows"] if not r["is_baseline"]], found["sentences"], strict=True
    ):
        pair = made["paired"]
        zero_outside = pair["interval"]["low"] > 0 or pair["interval"]["high"] < 0
        claimed = "not told apart" not in sentence
        assert claimed == (zero_outside and pair["p_holm"] <= 0.05)
        assert sentence in out


def test_an_interval_and_a_test_that_disagree_claim_nothing(tmp_path, capsys):
    """From ten seeds on an interval over seeds is a bootstrap, while p stays that of a t test."""
    differences = [0.0001] * 7 + [0.001, 0.002, 0.02]
    for seed, better in enumerate(differences):
        write_run(tmp_path, "fc", seed, accuracy=0.90)
        write_run(tmp_path, "gap", seed, accuracy=0.90 + better)
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    p = stats.ttest_1samp(differences, 0).pvalue
    assert "points better than fc" in out
    assert f"but not told apart by the paired t test (p = {p:.2f})" in out
    assert "comparisons" not in out


def test_convergence_counts_those_that_never_reached_it(tmp_path, capsys):
    key = "convergence.to_accuracy"
    times = {"fc": (4.0, 6.0, 5.0), "gap": (3.0, None, 4.0), "nin": (None, None, 9.0)}
    for head, epochs in times.items():
        for seed, epoch in enumerate(epochs):
            reached = {"epochs": epoch, "steps": None, "seconds": epoch and 2 * epoch}
            write_run(tmp_path / "o", head, seed, results={key: {"0.90": reached}})
    found = answer(tmp_path / "o", "--target", "0.9", "--markdown", str(tmp_path / "t.md"),
                   tmp=tmp_path)  # fmt: skip
    told = {r["label"]: r["epochs_to_target"] for r in found["rows"]}
    assert (told["fc"]["median"], told["fc"]["reached"]) == (5.0, 3)
    assert (told["gap"]["median"], told["gap"]["reached"], told["gap"]["of"]) == (4.0, 2, 3)
    assert told["gap"]["mean_of_reached"] == 3.5
    assert (told["nin"]["median"], told["nin"]["reached"]) == (None, 1)
    table = (tmp_path / "t.md").read_text()
    assert "4.0 (2/3)" in table
    assert ">12 (1/3)" in table


def test_a_target_that_was_not_recorded_is_read_off_the_curve(tmp_path):
    path = write_run(tmp_path / "o", "gap", 0)
    write_run(tmp_path / "o", "fc", 0)
    (path / "metrics.csv").write_text(
        "epoch,step,val_accuracy,seconds\n1,10,0.5,2\n2,20,0.7,4\n3,30,0.8,6\n4,4"
    )
    found = answer(tmp_path / "o", "--target", "0.65", tmp=tmp_path)
    gap = row(found, "gap")
    assert gap["epochs_to_target"]["by_seed"]["0"] == pytest.approx(1.75)
    assert gap["seconds_to_target"]["median"] == pytest.approx(3.5)


def test_a_metric_that_some_runs_lack(sweep, tmp_path):
    path = write_run(sweep, "gap", 3, results={"test.accuracy": None})
    found = answer(sweep, tmp=tmp_path)
    assert row(found, "gap")["seeds_without_value"] == [3]
    assert any("no value for seed 3" in note for note in found["notes"])
    assert path.exists()
