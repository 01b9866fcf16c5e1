"""`gapfc compare` as it is typed: what it prints, writes and refuses."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from synthetic import HEADS, change, write_run, write_transfer

from gapfc.commands.compare import main
from gapfc.errors import UserError


def answer(path: Path, *options: str, tmp: Path) -> dict:
    file = tmp / "answer.json"
    assert main([str(path), "--json", str(file), *options]) == 0
    return json.loads(file.read_text())


def row(found: dict, label: str) -> dict:
    return next(row for row in found["rows"] if row["label"] == label)


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
    assert "nin and fc are not told apart by 5 seeds (difference +0.0" in out
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
    for seed, better in enumerate((0.001, 0.001, 0.001, 0.02)):
        write_run(tmp_path, "fc", seed, accuracy=0.90)
        write_run(tmp_path, "gap", seed, accuracy=0.90 + better)
    assert main([str(tmp_path), "--interval", "bootstrap"]) == 0
    out = capsys.readouterr().out
    assert "0.6 points better than fc" in out
    p = stats.ttest_1samp([0.001, 0.001, 0.001, 0.02], 0).pvalue
    assert f"but not told apart by the paired t test (p = {p:.2f})" in out
    assert "comparisons" not in out


def test_failed_broken_unfinished_runs_are_counted_and_named(sweep, capsys, tmp_path):
    failed = write_run(sweep, "gap", 8, status="failed", error="Traceback\nRuntimeError: out of it")
    killed = write_run(sweep, "gap", 9)
    (killed / "results.json").unlink()
    broken = write_run(sweep, "gap", 10)
    (broken / "results.json").write_text('{"schema": 1, "stat')
    future = write_run(sweep, "gap", 11, results={"schema": 9})
    blind = write_run(sweep, "gem", 12)
    (blind / "config.yaml").write_text("a: [")
    stopped = write_run(sweep, "gap", 13, status="interrupted")
    found = answer(sweep, tmp=tmp_path)
    out = capsys.readouterr().out
    kinds = {run["path"]: run["kind"] for run in found["not_compared"]}
    assert kinds == {
        str(failed): "failed", str(killed): "unfinished", str(broken): "broken",
        str(future): "broken", str(blind): "broken", str(stopped): "interrupted",
    }  # fmt: skip
    assert "RuntimeError: out of it" in out
    assert "12 of 18 runs found" in out
    for path in kinds:
        assert path in out
    assert row(found, "gap")["n"] == 3


def test_every_found_run_is_compared_named_or_filtered(sweep, tmp_path):
    write_run(sweep, "gap", 1, when="20260101-000000")  # an older run of a seed
    write_run(sweep, "fc", 5, status="failed", error="x")
    found = answer(sweep, tmp=tmp_path)
    rerun = [note for note in found["notes"] if "does not" in note or "do not count" in note]
    assert len(rerun) == 1
    assert "20260101-000000-s1" in rerun[0]
    assert found["runs_found"] == found["runs_compared"] + len(found["not_compared"]) + 1


def test_the_newest_run_of_a_seed_counts(tmp_path):
    write_run(tmp_path / "o", "gap", 0, accuracy=0.5, when="20260101-000000")
    write_run(tmp_path / "o", "gap", 0, accuracy=0.9, when="20260301-000000")
    write_run(tmp_path / "o", "gap", 0, accuracy=0.7, when="20260201-000000")
    write_run(tmp_path / "o", "fc", 0, accuracy=0.8)
    assert row(answer(tmp_path / "o", tmp=tmp_path), "gap")["mean"] == 0.9


def test_seeds_of_one_side_are_named_and_not_paired(sweep, tmp_path):
    write_run(sweep, "gap", 7)
    found = answer(sweep, tmp=tmp_path)
    gap = row(found, "gap")
    assert (gap["n"], gap["paired"]["seeds"], gap["seeds_not_paired"]) == (4, [0, 1, 2], [7])
    assert any("gap and fc: seed 7 is in one of them only" in note for note in found["notes"])


def test_groups_that_differ_in_more_are_refused_until_filtered(sweep, tmp_path):
    write_run(sweep, "gap", 0, config={"optimizer.lr": 0.3, "trainer.epochs": 3})
    with pytest.raises(UserError, match="differ in more than head") as error:
        main([str(sweep)])
    assert "optimizer.lr: 0.05 (12 runs), 0.3 (1 run)" in str(error.value)
    assert "trainer.epochs: 12 (12 runs), 3 (1 run)" in str(error.value)
    assert "--where" in str(error.value)
    found = answer(sweep, "--where", "optimizer.lr=0.05", tmp=tmp_path)
    assert found["runs_compared"] == 12
    apart = answer(sweep, "--by", "head,optimizer.lr,trainer.epochs", "--baseline",
                   "head=fc", tmp=tmp_path)  # fmt: skip
    labels = {r["label"] for r in apart["rows"]}
    assert labels >= {"gap, lr=0.3, epochs=3", "gap, lr=0.05, epochs=12"}


def test_a_newer_run_of_another_setting_is_no_rerun(tmp_path):
    for head in ("fc", "gap"):
        write_run(tmp_path, head, 0)
        write_run(tmp_path, head, 0, when="20270101-000000", config={"optimizer.lr": 0.3})
    with pytest.raises(UserError, match=r"optimizer\.lr"):
        main([str(tmp_path)])


def test_options_of_the_head_belong_to_the_head_but_not_within_one(sweep):
    write_run(sweep, "fc", 9, config={"head.hidden": []})
    with pytest.raises(UserError, match=r"head\.hidden: .*\[512\]"):
        main([str(sweep)])
    assert main([str(sweep), "--where", "head.hidden!=[512]", "--baseline", "gap"]) == 0
    assert (
        main([str(sweep), "--by", "head,head.hidden", "--baseline", "head=fc,head.hidden=[]"]) == 0
    )


def test_another_data_set_is_told_in_one_line(sweep):
    write_run(sweep, "gap", 0, config={
        "dataset.name": "cifar10", "dataset._target_": "gapfc.data.cifar", "dataset.image_size": 8,
    })  # fmt: skip
    with pytest.raises(UserError) as error:
        main([str(sweep)])
    assert "  dataset: digits (12 runs), cifar10 (1 run)" in str(error.value).splitlines()
    assert "image_size" not in str(error.value)


def test_each_data_set_has_its_own_baseline(tmp_path):
    for name, level in (("digits", 0.9), ("mnist", 0.7)):
        for head, more in (("fc", 0.0), ("gap", 0.02)):
            for seed in range(3):
                write_run(tmp_path / "o", head, seed, accuracy=level + more + seed * seed / 1000,
                          config={"dataset.name": name})  # fmt: skip
    found = answer(tmp_path / "o", "--by", "dataset,head", "--baseline", "fc", tmp=tmp_path)
    assert {r["label"]: r["baseline"] for r in found["rows"]} == {
        "digits, fc": None,
        "digits, gap": "digits, fc",
        "mnist, fc": None,
        "mnist, gap": "mnist, fc",
    }
    assert row(found, "mnist, gap")["paired"]["mean"] == pytest.approx(0.02)


def test_device_and_version_are_noted_not_refused(sweep, capsys):
    write_run(sweep, "gap", 7, results={"device": "cuda", "torch": "2.16.0"},
              config={"trainer.compile": True})  # fmt: skip
    assert main([str(sweep)]) == 0
    out = capsys.readouterr().out
    assert "Note: device differs: cpu (12 runs), cuda (1 runs)" in out
    assert "torch differs" in out
    assert "trainer.compile differs: false (12 runs), true (1 runs)" in out


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
    assert {c["values"][0]: c["chosen"] for c in found["chosen"]} == {"fc": "0.1", "gap": "0.3"}
    assert [r["mean"] for r in found["rows"]] == pytest.approx([0.8, 0.8])
    assert any("fc 0.1 of 3; gap 0.3 of 3" in note for note in found["notes"])
    assert "every group had the same 3 values of optimizer.lr: 0.1, 0.3, 1.0" in found["notes"]


def test_a_setting_does_not_win_by_the_seeds_it_has(tmp_path):
    for lr, seed, val in ((0.1, 0, 0.90), (0.1, 1, 0.70), (0.3, 0, 0.85)):
        write_run(tmp_path / "o", "gap", seed, config={"optimizer.lr": lr},
                  results={"val.accuracy": val})  # fmt: skip
    found = answer(tmp_path / "o", "--choose", "optimizer.lr", tmp=tmp_path)
    assert found["chosen"][0]["chosen"] == "0.1"
    assert found["chosen"][0]["among"] == {"0.1": 0.9, "0.3": 0.85}


def test_one_value_is_no_choice(sweep, tmp_path):
    found = answer(sweep, "--choose", "optimizer.lr", tmp=tmp_path)
    assert "every group had one value of optimizer.lr, 0.05: none was chosen" in found["notes"]
    assert found["constants"]["optimizer.lr"] == "0.05"


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
    assert "4.0 (2/3 reached)" in table
    assert ">12 (1/3 reached)" in table


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


def test_transfer_by_source_head_and_protocol(transfers, tmp_path):
    out = tmp_path / "out"
    found = answer(transfers, "--by", "source.head,protocol", "--out", str(out), tmp=tmp_path)
    assert found["baseline"] == "protocol=scratch"
    probe = row(found, "fc, linear_probe")
    assert probe["baseline"] == "fc, scratch"
    assert probe["paired"]["mean"] == pytest.approx(-0.07, abs=0.01)
    assert (out / "transfer.png").stat().st_size > 10_000
    assert (out / "drift.svg").read_text().startswith("<?xml")


def test_source_accuracy_stands_beside_and_its_difference_is_said(tmp_path):
    for head, accuracy in (("fc", 0.90), ("gap", 0.92)):
        for protocol in ("scratch", "linear_probe"):
            for seed in range(2):
                run = write_transfer(tmp_path / "o", head, protocol, seed)
                known = None if protocol == "scratch" else accuracy + 0.01 * seed
                path = f"x/{head}-s{seed}"
                facts = {"transfer.source.test_accuracy": known, "transfer.source.path": path}
                if (head, protocol) == ("fc", "linear_probe"):
                    facts["parameters.head"] = 50
                change(run, {}, facts)
    found = answer(tmp_path / "o", "--by", "source.head,protocol", "--markdown",
                   str(tmp_path / "t.md"), tmp=tmp_path)  # fmt: skip
    assert row(found, "fc, linear_probe")["source_accuracy"] == pytest.approx(0.905)
    assert row(found, "fc, scratch")["source_accuracy"] is None
    table = (tmp_path / "t.md").read_text()
    assert "| source (%) |" in table
    assert "| 92.5 |" in table
    notes = " ".join(found["notes"])
    assert "own test images (fc 90.5%, gap 92.5%)" in notes
    assert "under linear_probe the head of fc is its last layer alone: 50 parameters" in notes
    assert "of gap is its last layer" not in notes
    assert "counts as one epoch" in notes


def test_sources_of_other_classes_or_settings_are_not_mixed(tmp_path):
    for place, protocol, classes, group in (
        ("a", "finetune", ["0"], "aaa"),
        ("b", "finetune", ["0"], "bbb"),
        ("c", "lp_ft", ["0"], "bbb"),
        ("d", "lp_ft", ["1"], "ddd"),
    ):
        for seed in range(2):
            run = write_transfer(tmp_path / place, "gap", protocol, seed)
            change(run, {}, {"transfer.source.classes": classes, "transfer.source.group": group})

    def compared(*places: str) -> int:
        return main([*(str(tmp_path / place) for place in places), "--by", "protocol"])

    with pytest.raises(UserError, match=r'transfer.source.classes: \["0"\] \(2 runs\)'):
        compared("a", "d")
    # The newer of two sources is no re-run of the other.
    with pytest.raises(UserError, match=r"transfer.source.group: bbb \(4 runs\), aaa \(2 runs\)"):
        compared("a", "b", "c")
    assert compared("b", "c") == 0


def test_rows_from_sources_of_other_settings_are_told(tmp_path):
    for protocol, group in (("finetune", "aaa"), ("lp_ft", "bbb")):
        for seed in range(2):
            run = write_transfer(tmp_path / "o", "gap", protocol, seed)
            change(run, {}, {"transfer.source.group": group})
    found = answer(tmp_path / "o", "--by", "protocol", tmp=tmp_path)
    assert any("under gap were trained in 2 ways; --where transfer.source.group=aaa" in note
               for note in found["notes"])  # fmt: skip


def test_training_and_transfer_are_not_mixed(sweep, transfers):
    with pytest.raises(UserError) as error:
        main([str(sweep)])
    assert "command: transfer (36 runs), train (12 runs)" in str(error.value)
    assert str(error.value).endswith("Keep some with --where command=transfer")
    assert main([str(sweep), "--where", "command=train"]) == 0


def test_metric_of_transfer(transfers, tmp_path):
    found = answer(transfers, "--where", "protocol=finetune,lp_ft", "--by", "source.head,protocol",
                   "--metric", "transfer.gain_over_scratch", "--baseline", "protocol=finetune",
                   tmp=tmp_path)  # fmt: skip
    assert row(found, "gap, lp_ft")["mean"] == pytest.approx(0.016)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "test.acuracy"], "near it: test.accuracy"),
        (["--metric", "accuracy"], "test.accuracy"),
        (["--metric", "head"], "no run has this number"),
        (["--baseline", "cf"], "the groups have fc, gap, nin, spp"),
        (["--baseline", "dataset=digits"], "dataset is not among --by head"),
        (["--by", "haed"], "near it: head"),
        (["--by", "seed"], "paired by seed"),
        (["--by", ","], "at least one key"),
        (["--where", "optimizr.lr=1"], "near it: optimizer.lr"),
        (["--where", "optimizer.lr=1"], "optimizer.lr is never 1; it takes 0.05"),
        (["--where", "dataset"], "give key=value"),
        (["--where", "head=fc", "--where", "seed!=0,1,2"], "none of 12 completed runs is left"),
        (["--confidence", "95"], "a share in"),
        (["--target", "90"], "an accuracy in"),
        (["--choose", "head"], "in --by already"),
    ],
)
def test_what_is_wrong_is_said(sweep, options, words):
    with pytest.raises(UserError) as error:
        main([str(sweep), *options])
    assert words in str(error.value)


def test_no_runs(tmp_path):
    with pytest.raises(UserError, match="no run below"):
        main([str(tmp_path)])
    with pytest.raises(UserError, match="is not a directory"):
        main([str(tmp_path / "nowhere")])
    path = write_run(tmp_path, "gap", 0, status="failed", error="boom")
    with pytest.raises(UserError, match=r"no completed run among 1 found.*failed, boom"):
        main([str(tmp_path)])
    assert path.exists()


def test_an_unwritable_file_is_an_error_for_people(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        main([str(sweep), "--csv", str(tmp_path / "file" / "t.csv")])
    with pytest.raises(UserError, match="cannot be written"):
        main([str(sweep), "--out", str(tmp_path / "file")])


def test_csv_holds_the_numbers_in_full(sweep, tmp_path):
    file = tmp_path / "t.csv"
    found = answer(sweep, "--csv", str(file), tmp=tmp_path)
    rows = list(csv.DictReader(file.open()))
    assert [r["head"] for r in rows] == [r["label"] for r in found["rows"]]
    assert [float(r["test.accuracy"]) for r in rows] == [r["mean"] for r in found["rows"]]
    gap = next(r for r in rows if r["head"] == "gap")
    assert float(gap["difference_low"]) == row(found, "gap")["paired"]["interval"]["low"]


def test_standard_output_holds_only_the_file_asked_for(sweep, capsys):
    main([str(sweep), "--json", "-"])
    streams = capsys.readouterr()
    assert json.loads(streams.out)["schema"] == 1
    assert "Baseline: head=fc" in streams.err


def test_the_table_fits_and_says_what_it_left_out(sweep, capsys, monkeypatch):
    main([str(sweep)])
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("head "))
    assert all(len(line) <= 120 for line in lines[start : start + 6])
    assert any(line.startswith("Left out to fit 120 columns: ") for line in lines)
    assert "\x1b" not in "".join(lines)


def test_in_a_fresh_folder_without_torch(sweep, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from gapfc.commands.compare import main\n"
        "code = main(sys.argv[1:])\n"
        "assert not any(n.startswith(('torchvision', 'hydra')) for n in sys.modules)\n"
        "sys.exit(code)"
    )
    folder = tmp_path / "fresh"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(sweep), "--html", "r.html", "--out", "pictures"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "r.html").exists()
    assert (folder / "pictures" / "differences.png").exists()


def test_table_alone_needs_no_matplotlib(sweep):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from gapfc.commands.compare import main\nsys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(sweep)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "gap" in done.stdout


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    assert "gapfc compare outputs --baseline fc" in out
    assert "--choose KEY" in out


def test_transfer_runs_need_no_common_source_path(tmp_path):
    for seed in range(2):
        write_transfer(tmp_path, "gap", "finetune", seed)
        write_transfer(tmp_path, "gap", "scratch", seed)
    assert main([str(tmp_path), "--by", "protocol"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("heads", "rates", "limit"), [(8, 5, 5.0), (8, 50, 30.0)])
def test_hundreds_of_runs_take_seconds(tmp_path, heads, rates, limit):
    """200 runs in under 5 s and 2,000 in under 30 s, with the start of Python."""
    for head in list(HEADS)[:heads]:
        for rate in range(rates):
            for seed in range(5):
                write_run(tmp_path, head, seed, config={"optimizer.lr": (rate + 1) / 100})
    code = "import sys; from gapfc.commands.compare import main; sys.exit(main(sys.argv[1:]))"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "--by", "head,optimizer.lr"],
        capture_output=True, text=True,
    )  # fmt: skip
    took = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    assert f"{heads * rates * 5} of {heads * rates * 5} runs found" in done.stdout
    assert took < limit


def test_a_setting_that_is_off_and_one_not_there_yet_are_the_same(tmp_path, capsys):
    write_run(tmp_path, "gap", 0)
    write_run(tmp_path, "gap", 1, config={"trainer.clip_norm": None})
    assert main([str(tmp_path)]) == 0
    write_run(tmp_path, "gap", 2, config={"trainer.clip_norm": 1.0})
    with pytest.raises(UserError, match=r"trainer\.clip_norm: null \(2 runs\), 1\.0 \(1 run\)"):
        main([str(tmp_path)])
