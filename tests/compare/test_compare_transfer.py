"""`gapfc compare` of transfer runs: source head × protocol."""

import pytest
from asked import answer, row
from synthetic import change, write_transfer

from gapfc.cli.commands.compare import main
from gapfc.compare.output import plots
from gapfc.errors import UserError


def test_transfer_by_source_head_and_protocol(transfers, tmp_path, monkeypatch):
    shown = {name: plots.PICTURES[name] for name in ("transfer", "drift")}
    monkeypatch.setattr(plots, "PICTURES", shown)
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
    assert "| source accuracy (%) |" in table
    assert "| 92.5 |" in table
    notes = " ".join(found["notes"])
    assert "own test images (fc 90.5%, gap 92.5%)" in notes
    assert "under linear_probe the head of fc is its last layer alone: 50 parameters" in notes
    assert "of gap is its last layer" not in notes
    assert "counts as one epoch" in notes


def test_sources_of_other_classes_or_settings_are_not_mixed(tmp_path, capsys):
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

    assert compared("a", "d") == 0
    names = [line for line in capsys.readouterr().out.splitlines() if line.startswith("── ")]
    assert names == ['── from classes ["0"] ──', '── from classes ["1"] ──']
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


def test_metric_of_transfer(transfers, tmp_path):
    found = answer(transfers, "--where", "protocol=finetune,lp_ft", "--by", "source.head,protocol",
                   "--metric", "transfer.gain_over_scratch", "--baseline", "protocol=finetune",
                   tmp=tmp_path)  # fmt: skip
    assert row(found, "gap, lp_ft")["mean"] == pytest.approx(0.016)


def test_convergence_against_scratch_without_those_that_never_got_there_is_too_good(tmp_path):
    for seed, epochs in enumerate((2.0, 4.0, None)):
        run = write_transfer(tmp_path / "o", "gap", "finetune", seed)
        change(run, {}, {"transfer.convergence_against_scratch": {"epochs": epochs}})
    found = answer(tmp_path / "o", "--by", "protocol", "--metric",
                   "transfer.convergence_against_scratch.epochs", tmp=tmp_path)  # fmt: skip
    assert found["rows"][0]["mean"] == 3
    assert any("no value for seed 2; its mean is over the other 2 and too good" in note
               for note in found["notes"])  # fmt: skip


def test_transfer_runs_need_no_common_source_path(tmp_path):
    for seed in range(2):
        write_transfer(tmp_path, "gap", "finetune", seed)
        write_transfer(tmp_path, "gap", "scratch", seed)
    assert main([str(tmp_path), "--by", "protocol"]) == 0
