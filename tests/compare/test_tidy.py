"""A row per run: `gapfc compare --tidy` and `gapfc.results`."""

import csv
import io
import json
import subprocess
import sys

import pytest
from synthetic import write_run, write_transfer

import gapfc
from gapfc.cli.commands.compare import main
from gapfc.compare.collect import collect
from gapfc.compare.tidy import FACTS, csv_of_runs, runs_as_rows
from gapfc.errors import UserError
from gapfc.records.results import read_results


def rows_of(folder):
    return runs_as_rows(collect([folder]))


def test_a_row_has_the_facts_the_settings_that_differ_and_all_numbers(tmp_path):
    gap = write_run(tmp_path, "gap", 1, config={"optimizer.lr": 0.3})
    write_run(tmp_path, "fc", 0)
    fc, row = rows_of(tmp_path)
    assert list(row)[: len(FACTS)] == list(FACTS)
    results = read_results(gap)
    assert {key: row[key] for key in FACTS} == {
        "path": str(gap), "status": "completed", "reason": None, "command": "train",
        "dataset": "digits", "backbone": "convnet", "head": "gap", "seed": 1,
        "group": results["group"],
    }  # fmt: skip
    assert (fc["optimizer.lr"], row["optimizer.lr"]) == (0.05, 0.3)
    assert (fc["head.hidden"], row["head.hidden"]) == ("[512]", "[]")
    assert (fc["head.dropout"], row["head.dropout"]) == (0.5, None)
    assert "trainer.epochs" not in row  # the same for all
    assert "data_root" not in row
    assert row["test.accuracy"] == results["test"]["accuracy"]
    assert row["parameters.head"] == 5130
    assert (
        row["convergence.to_accuracy.0.90.epochs"]
        == (results["convergence"]["to_accuracy"]["0.90"]["epochs"])
    )
    assert row["feature_map"] == "[512,4,4]"
    assert row["device"] == "cpu"


def test_transfer_and_probes_are_columns_and_missing_is_empty(tmp_path):
    path = write_run(tmp_path, "gap", 0)
    probes = {"schema": 1, "data": {}, "probe": {"shift": {"zero": {"4": {"drop": 0.25}}}}}
    (path / "probes.json").write_text(json.dumps(probes))
    write_transfer(tmp_path, "gap", "finetune", 0)
    train, transfer = rows_of(tmp_path)
    assert (train["probe.shift.zero.4.drop"], transfer["probe.shift.zero.4.drop"]) == (0.25, None)
    assert (train["protocol"], transfer["protocol"]) == (None, "finetune")
    assert transfer["transfer.gain_over_scratch"] == 0.012
    assert (train["transfer.source.head"], transfer["transfer.source.head"]) == (None, "gap")
    table = list(csv.reader(io.StringIO(csv_of_runs([train, transfer]))))
    cell = table[0].index("transfer.gain_over_scratch")
    assert [row[cell] for row in table] == ["transfer.gain_over_scratch", "", "0.012"]


def test_runs_that_failed_or_are_broken_are_rows(tmp_path):
    write_run(tmp_path, "gap", 0)
    write_run(tmp_path, "gap", 1, status="failed", error="Traceback\nRuntimeError: out of it")
    (write_run(tmp_path, "gap", 2) / "results.json").unlink()
    (write_run(tmp_path, "gap", 3) / "results.json").write_text("{")
    (write_run(tmp_path, "gap", 4) / "config.yaml").write_text("a: [")
    (write_run(tmp_path, "gap", 5) / "config.yaml").write_text("dataset: 3")
    rows = rows_of(tmp_path)
    assert [row["status"] for row in rows] == [
        "completed", "failed", "unfinished", "broken", "broken", "completed",
    ]  # fmt: skip
    assert rows[1]["reason"] == "RuntimeError: out of it"
    assert rows[1]["test"] is None  # it did not get that far
    assert [row["seed"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row["head"] for row in rows] == ["gap"] * 6
    assert all(row.keys() == rows[0].keys() for row in rows)


def test_the_file_is_written_whether_or_not_runs_can_be_compared(tmp_path, capsys):
    write_run(tmp_path / "o", "gap", 0)
    write_run(tmp_path / "o", "fc", 0, config={"trainer.epochs": 3})
    file = tmp_path / "runs.csv"
    assert main([str(tmp_path / "o"), "--tidy", str(file)]) == 0
    streams = capsys.readouterr()
    assert f"Wrote {file} (2 runs, " in streams.out
    assert "gapfc: error: these runs differ in more than head" in streams.err
    rows = list(csv.DictReader(file.open()))
    assert [(row["head"], row["trainer.epochs"]) for row in rows] == [("fc", "3"), ("gap", "12")]
    with pytest.raises(UserError, match="differ in more"):
        main([str(tmp_path / "o")])


def test_failed_runs_can_be_asked_for_alone(tmp_path, capsys):
    write_run(tmp_path, "gap", 0)
    write_run(tmp_path, "gap", 1, status="failed", error="x")
    assert main([str(tmp_path), "--where", "status=failed", "--tidy", "-"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["status"], row["seed"]) == ("failed", "1")


def test_cells_are_harmless(tmp_path):
    write_run(tmp_path, "gap", 0, status="failed", error="=cmd|' /C calc'!A0\x1b[31m")
    write_run(tmp_path, "fc", 0, results={"=1+1": 3.0, "test.accuracy": 1e200})
    text = csv_of_runs(rows_of(tmp_path))
    assert "\x1b" not in text
    table = list(csv.reader(io.StringIO(text)))
    assert not any(cell.startswith(("=", "@", "+")) for row in table for cell in row)
    cells = dict(zip(table[0], table[1], strict=True))
    assert cells["'=1+1"] == "3.0"
    assert cells["test.accuracy"] == ""


def test_results_is_a_list_of_dicts_without_pandas_and_needs_no_torch(tmp_path):
    write_run(tmp_path, "gap", 0)
    write_run(tmp_path, "fc", 0)
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('pandas', 'torch')))\n"
        "import gapfc, json\n"
        "rows = gapfc.results(sys.argv[1], where='head=gap')\n"
        "print(json.dumps(rows))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["head"], row["parameters.head"]) == ("gap", 5130)


def test_results_is_a_frame_where_pandas_is_installed(tmp_path):
    pandas = pytest.importorskip("pandas")
    for head in ("fc", "gap"):
        for seed in range(2):
            write_run(tmp_path, head, seed, accuracy={"fc": 0.8, "gap": 0.9}[head] + seed / 100)
    frame = gapfc.results(tmp_path)
    assert isinstance(frame, pandas.DataFrame)
    means = frame.groupby("head")["test.accuracy"].mean()
    assert means.to_dict() == pytest.approx({"fc": 0.805, "gap": 0.905})
    assert frame["test.top5"].isna().all() if "test.top5" in frame else True
    two = gapfc.results(tmp_path, tmp_path / "train", where=["head=gap", "seed=1"])
    assert two["seed"].tolist() == [1]


def test_no_runs(tmp_path):
    with pytest.raises(UserError, match="is not a directory"):
        gapfc.results(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no run below"):
        gapfc.results(tmp_path)
