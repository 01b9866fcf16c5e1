"""Runs of another command, data set or backbone: a comparison of their own, in every output."""

import csv
import json

import pytest
from synthetic import change, write_run, write_transfer

from gapfc.cli.commands.compare import main
from gapfc.compare.collect import collect
from gapfc.compare.output import plots
from gapfc.compare.question import Question
from gapfc.compare.strata import strata
from gapfc.errors import UserError


@pytest.fixture
def both(sweep, transfers):
    """A sweep of training and one of transfer in the same folder."""
    assert sweep == transfers
    return sweep


def asked(folder, *options):
    """The comparisons of `folder` as in JSON."""
    file = folder.parent / "answer.json"
    assert main([str(folder), "--json", str(file), *options]) == 0
    found = json.loads(file.read_text())
    return found if isinstance(found, list) else [found]


def test_training_and_transfer_have_a_table_each(both, capsys, tmp_path):
    train, transfer = asked(both, "--markdown", str(tmp_path / "t.md"))
    assert (train["by"], train["baseline"], train["runs_compared"]) == (["head"], "head=fc", 12)
    assert transfer["by"] == ["source.head", "protocol"]
    assert (transfer["baseline"], transfer["runs_compared"]) == ("protocol=scratch", 36)
    out = capsys.readouterr().out
    names = [line for line in out.splitlines() if line.startswith("── ")]
    assert names == ["── train, digits ──", "── transfer, mnist ──"]
    assert out.startswith("2 tables: train, digits · transfer, mnist\n")
    text = (tmp_path / "t.md").read_text()
    assert text.count("\n## ") + text.startswith("## ") == 2


def test_each_can_be_asked_alone_by_the_command_it_names(both, tmp_path):
    for one in asked(both):
        line = one["commands"][-1].replace("gapfc compare ", "")
        where = [word for each in one["question"]["where"] for word in ("--where", each)]
        assert all(word in line for word in where)
        (alone,) = asked(both, *where)
        for key in ("by", "baseline", "runs_found", "runs_compared", "rows", "sentences"):
            assert alone[key] == one[key], key


def test_csv_of_several_has_the_columns_of_all(both, tmp_path):
    file = tmp_path / "t.csv"
    main([str(both), "--csv", str(file)])
    rows = list(csv.DictReader(file.open()))
    assert [row["table"] for row in rows] == ["train, digits"] * 4 + ["transfer, mnist"] * 12
    assert {row["head"] for row in rows[:4]} == {"fc", "gap", "nin", "spp"}
    assert {row["protocol"] for row in rows[:4]} == {""}
    assert {row["head"] for row in rows[4:]} == {""}
    assert all(float(row["test.accuracy"]) > 0.8 for row in rows)


def test_a_page_and_a_folder_for_each(both, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plots, "PICTURES", {"transfer": plots.PICTURES["transfer"]})
    main([str(both), "--html", str(tmp_path / "r.html"), "--out", str(tmp_path / "out")])
    assert sorted(path.name for path in tmp_path.glob("*.html")) == [
        "r-train-digits.html", "r-transfer-mnist.html",
    ]  # fmt: skip
    numbers = {"comparison.json", "table.csv", "table.md"}
    folders = {f.name: {file.name for file in f.iterdir()} for f in (tmp_path / "out").iterdir()}
    assert folders == {
        "train-digits": numbers, "transfer-mnist": numbers | {"transfer.png", "transfer.svg"},
    }  # fmt: skip
    assert f"Wrote {tmp_path}/r-transfer-mnist.html" in capsys.readouterr().out


def test_a_data_set_a_backbone_and_a_choice_of_classes(tmp_path):
    for head in ("fc", "gap"):
        write_run(tmp_path / "o", head)
        write_run(tmp_path / "o", head, config={"dataset.classes": [0, 1]})
        write_run(tmp_path / "o", head, config={"dataset.name": "mnist"})
        write_run(tmp_path / "o", head, config={"backbone.name": "resnet18"})
    found = strata(collect([tmp_path / "o"]), Question())
    assert [(part.name, part.file) for part in found] == [
        ("digits, all classes, convnet", "digits-all-classes-convnet"),
        ("digits, resnet18", "digits-resnet18"),
        ("digits, classes [0,1]", "digits-classes-0-1"),
        ("mnist", "mnist"),
    ]
    assert {len(part.collection.runs) for part in found} == {2}
    assert [one["runs_compared"] for one in asked(tmp_path / "o")] == [2] * 4


def test_a_part_without_test_images_is_compared_on_validation(sweep):
    for head in ("fc", "gap"):
        for seed in range(2):
            write_run(sweep, head, seed, config={"dataset.name": "folder"}, results={"test": None})
    digits, folder = asked(sweep)
    assert digits["question"]["metric"] == "test.accuracy"
    assert folder["question"]["metric"] == "val.accuracy"
    assert "--metric val.accuracy" in folder["commands"][-1]
    with pytest.raises(UserError, match="no run has this number"):
        main([str(sweep), "--where", "dataset=folder", "--metric", "test.accuracy"])


def test_what_by_asks_about_is_in_one_table(both):
    (one,) = strata(collect([both]), Question(by=("command", "dataset", "head")))
    assert (one.name, one.question.where) == ("", ())
    train, transfer = strata(collect([both]), Question(by=("head", "dataset")))
    assert (train.question.where, transfer.question.where) == (
        ("command=train",), ("command=transfer",),
    )  # fmt: skip


def test_null_and_a_setting_that_is_not_there_yet_are_one_data_set(tmp_path):
    write_run(tmp_path, "fc", config={"dataset.classes": None})
    write_run(tmp_path, "gap")
    write_run(tmp_path, "gap", config={"dataset.classes": [1]})
    every, some = strata(collect([tmp_path]), Question())
    assert every.question.where == ("dataset.classes=absent,null",)
    assert len(every.collection.runs) == 2
    assert some.question.where == ("dataset.classes=[1]",)
    for part in (every, some):
        (alone,) = asked(tmp_path, "--where", part.question.where[0])
        assert alone["runs_compared"] == len(part.collection.runs)


def test_a_run_that_failed_is_named_where_it_belongs(both):
    write_run(both, "gem", 0, status="failed", error="no memory", config={"dataset.name": "mnist"})
    write_transfer(both, "fc", "finetune", 8)
    failed = write_transfer(both, "fc", "finetune", 9)
    change(failed, {}, {"status": "failed", "error": "no disk"})
    broken = write_run(both, "gap", 9)
    (broken / "config.yaml").write_text("a: [")
    train, transfer = asked(both)
    assert [run["reason"] for run in transfer["not_compared"]] == ["no disk"]
    # mnist has no completed run of training: it is told in the first table.
    assert len(train["not_compared"]) == 2


def test_a_part_that_cannot_be_compared_does_not_hide_the_others(both, capsys):
    write_run(both, "gap", 0, config={"trainer.epochs": 3}, when="20270101-000000")
    transfer, refused = asked(both)
    assert transfer["runs_compared"] == 36
    assert refused["question"]["where"] == ["command=train", "dataset=digits"]
    assert "trainer.epochs: 12 (12 runs), 3 (1 run)" in refused["refused"]
    out = capsys.readouterr().out
    assert "1 table: transfer, mnist; not compared: train, digits\n" in out
    assert "── train, digits ──\nNot compared: these runs differ in more than head" in out


def test_a_metric_that_one_part_has(both, capsys):
    transfer, refused = asked(both, "--metric", "transfer.drift.backbone.stages.0.0.weight")
    assert transfer["by"] == ["source.head", "protocol"]
    assert "no run has this number" in refused["refused"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "test.acuracy"], "near it: test.accuracy"),
        (["--by", "haed"], "near it: head"),
        (["--choose", "optimizer.rl"], "no run has the key optimizer.rl"),
    ],
)
def test_what_no_run_has_is_said_once(both, options, words):
    with pytest.raises(UserError) as error:
        main([str(both), *options])
    assert str(error.value).count(words) == 1
    assert "nothing can be compared" not in str(error.value)


def test_if_no_part_can_be_compared_each_says_why(both):
    with pytest.raises(UserError) as error:
        main([str(both), "--baseline", "nosuch"])
    first, *lines = str(error.value).splitlines()
    assert first == "nothing can be compared:"
    assert [line.partition(": ")[0] for line in lines] == ["train, digits", "transfer, mnist"]


def test_across_data_sets_only_with_a_word(tmp_path, capsys):
    write_run(tmp_path / "o", "fc")
    write_run(tmp_path / "o", "gap", config={"dataset.name": "mnist"})
    (found,) = asked(tmp_path / "o", "--by", "head,dataset")
    assert found["confounds"][0]["kind"] == "images"
    assert found["confounds"][0]["groups"] == ["gap, mnist"]
    assert "gap, mnist with fc, digits" in found["confounds"][0]["sentence"]
    assert "Bear in mind: another data set" in found["sentences"][0]
    write_run(tmp_path / "o", "fc", config={"dataset.name": "mnist"})
    write_run(tmp_path / "o", "gap")
    (found,) = asked(tmp_path / "o", "--by", "head,dataset")
    assert "images" not in [each["kind"] for each in found["confounds"]]
