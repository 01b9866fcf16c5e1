"""What is named to be typed next, after a run and after a sweep."""

import pytest

from gapfc.records.next_commands import next_commands


@pytest.mark.parametrize(
    ("command", "swept", "compare"),
    [
        ("train", [], "gapfc compare my/outputs"),
        ("train", ["head", "seed", "dataset", "backbone"], "gapfc compare my/outputs"),
        ("train", ["head", "optimizer.lr"], "gapfc compare my/outputs/train --choose optimizer.lr"),
        ("train", ["head", "+head.hidden", "optimizer.lr"],
         "gapfc compare my/outputs/train --by head,head.hidden,optimizer.lr"),
        ("train", ["optimizer", "trainer.device", "trainer.probes"],
         "gapfc compare my/outputs/train --by head,optimizer"),
        ("train", ["experiment"], "gapfc compare my/outputs"),
        ("transfer", ["source.head", "protocol", "seed"], "gapfc compare my/outputs"),
        ("transfer", ["source", "dataset.classes"], "gapfc compare my/outputs"),
        ("transfer", ["protocol", "dataset.shots"],
         "gapfc compare my/outputs/transfer --by source.head,protocol,dataset.shots"),
    ],
)  # fmt: skip
def test_compare_tells_apart_what_was_swept_over(command, swept, compare):
    lines = next_commands("my/outputs", command, swept).split("\n")
    assert lines == [f"  differences  {compare}", "  curves       gapfc dashboard my/outputs"]


def test_a_folder_is_quoted_and_told_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = next_commands(tmp_path / "my runs", "train")
    assert told.split("\n")[0] == "  differences  gapfc compare 'my runs'"
