"""Which runs `gapfc compare` puts into one group, and which it refuses to mix."""

import shlex

import pytest
from asked import answer, row
from synthetic import write_run

from gapfc.cli.commands.compare import main
from gapfc.compare.collect import collect
from gapfc.compare.mixtures import splits_vary
from gapfc.errors import UserError


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
    keep, apart = str(error.value).splitlines()[-2:]
    assert keep == "Keep some of them: --where optimizer.lr=0.05"
    assert apart == "Tell them apart: --by head,optimizer.lr,trainer.epochs"
    found = answer(sweep, "--where", "optimizer.lr=0.05", tmp=tmp_path)
    assert found["runs_compared"] == 12
    apart = answer(sweep, "--by", "head,optimizer.lr,trainer.epochs", "--baseline",
                   "head=fc", tmp=tmp_path)  # fmt: skip
    labels = {r["label"] for r in apart["rows"]}
    assert labels >= {"gap, lr=0.3, epochs=3", "gap, lr=0.05, epochs=12"}


def test_a_whole_path_is_one_file_whatever_the_data_root(tmp_path):
    for seed, root in enumerate(("/data", "data", "/elsewhere")):
        place = {"backbone.weights": "/data/weights.pth", "data_root": root}
        for head in ("fc", "gap"):
            write_run(tmp_path, head, seed, config=place)
    assert row(answer(tmp_path, tmp=tmp_path), "gap")["n"] == 3


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


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer.epochs": 3},
        {"trainer.epochs": 3, "optimizer.lr": 0.3, "augment.shift": 4},
        {"trainer.clip_norm": 1.0, "schedule.name": "step", "dataset.image_size": 64},
        {"head.hidden": [7], "trainer.epochs": 3},
    ],
)
def test_every_hint_answers_when_it_is_typed(sweep, changes):
    for head in ("gap", "fc"):
        write_run(sweep, head, 0, config=changes)
        write_run(sweep, head, 1, config=dict(list(changes.items())[:1]))
    with pytest.raises(UserError) as error:
        main([str(sweep)])
    hints = [line.partition(": ")[2] for line in str(error.value).splitlines() if ": --" in line]
    assert any(hint.startswith("--by") for hint in hints)
    for hint in hints:
        assert main([str(sweep), *shlex.split(hint)]) == 0


def test_a_lone_learning_rate_may_be_chosen(sweep):
    write_run(sweep, "gap", 0, config={"optimizer.lr": 0.3})
    with pytest.raises(UserError) as error:
        main([str(sweep)])
    assert str(error.value).endswith("its best on validation: --choose optimizer.lr")


def test_a_hint_keeps_no_condition_that_a_head_cannot_meet(sweep):
    write_run(sweep, "fc", 9, config={"head.hidden": []})
    with pytest.raises(UserError) as error:
        main([str(sweep)])
    assert "Keep" not in str(error.value)  # gap has no head.hidden=[512]
    assert str(error.value).endswith("Tell them apart: --by head,head.hidden")


def test_two_schedules_are_told_in_one_line(sweep):
    write_run(sweep, "gap", 0, config={
        "schedule.name": "step", "schedule._target_": "gapfc.Step", "schedule.size": 8,
    })  # fmt: skip
    with pytest.raises(UserError) as error:
        main([str(sweep)])
    assert "  schedule: cosine (12 runs), step (1 run)" in str(error.value).splitlines()
    assert "size" not in str(error.value)


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


def test_threads_are_noted_where_runs_on_the_cpu_say_other_ones(sweep, capsys):
    """Those of before say nothing of them, and on a GPU they are of no account."""
    write_run(sweep, "gap", 7, results={"threads": 2})
    write_run(sweep, "gap", 8, results={"device": "cuda", "threads": 16})
    assert main([str(sweep)]) == 0
    assert "threads differs" not in capsys.readouterr().out
    write_run(sweep, "gap", 9, results={"threads": 1})
    assert main([str(sweep)]) == 0
    assert "threads differs: 2 (1 runs), 1 (1 runs)" in capsys.readouterr().out


def test_runs_that_several_processes_shared_are_noted(sweep, capsys):
    """Those of before say nothing, and had one."""
    write_run(sweep, "gap", 7, results={"world_size": 1})
    assert main([str(sweep)]) == 0
    assert "world_size" not in capsys.readouterr().out
    write_run(sweep, "gap", 8, results={"world_size": 2}, config={"trainer.devices": 2})
    assert main([str(sweep)]) == 0
    told = capsys.readouterr().out
    assert "world_size differs: 1 (13 runs), 2 (1 runs)" in told
    assert "trainer.devices" not in told


def test_a_setting_that_is_off_and_one_not_there_yet_are_the_same(tmp_path, capsys):
    write_run(tmp_path, "gap", 0)
    write_run(tmp_path, "gap", 1, config={"trainer.clip_norm": None})
    assert main([str(tmp_path)]) == 0
    write_run(tmp_path, "gap", 2, config={"trainer.clip_norm": 1.0})
    with pytest.raises(UserError, match=r"trainer\.clip_norm: null \(2 runs\), 1\.0 \(1 run\)"):
        main([str(tmp_path)])


def test_each_seed_may_have_its_own_split_if_groups_share_it(tmp_path):
    for head in ("fc", "gap"):
        for seed in range(3):
            typed = [f"head={head}", r"dataset.split_seed=$\{seed\}"]
            config = {"dataset.split_seed": seed}
            write_run(tmp_path / "o", head, seed, config=config, results={"overrides": typed})
    found = answer(tmp_path / "o", tmp=tmp_path)
    assert row(found, "gap")["paired"]["seeds"] == [0, 1, 2]
    assert "each seed has its own split (dataset.split_seed)" in found["notes"]
    assert found["commands"][0] == (
        "gapfc train -m head=gap,fc 'dataset.split_seed=${seed}' seed=0,1,2"
    )
    # Another split of the same seed: no longer the same images.
    write_run(tmp_path / "o", "gap", 3, config={"dataset.split_seed": 3})
    write_run(tmp_path / "o", "fc", 3, config={"dataset.split_seed": 0})
    with pytest.raises(UserError, match=r"dataset\.split_seed: 0 \(3 runs\), "):
        main([str(tmp_path / "o")])


def test_within_one_group_a_seed_has_one_split(tmp_path):
    for split in range(2):
        write_run(tmp_path, "gap", 0, config={"dataset.split_seed": split})
    with pytest.raises(UserError, match=r"dataset\.split_seed: 0 \(1 run\), 1 \(1 run\)"):
        main([str(tmp_path)])


def test_splits_vary(tmp_path):
    for seed in range(2):
        write_run(tmp_path / "a", "gap", seed, config={"dataset.split_seed": seed})
        write_run(tmp_path / "b", "gap", seed, config={"dataset.split_seed": 7})
    assert splits_vary(collect([tmp_path / "a"]).runs)
    assert not splits_vary(collect([tmp_path / "b"]).runs)
