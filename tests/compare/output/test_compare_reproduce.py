"""The commands that make compared runs again."""

from synthetic import change, write_run, write_transfer

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.reproduce import commands
from gapfc.compare.question import Question


def test_commands_join_seeds_and_heads(tmp_path):
    for head in ("fc", "gap"):
        for seed in range(3):
            typed = [f"head={head}", "trainer.epochs=12", f"seed={seed}", "data_root=/x"]
            write_run(tmp_path, head, seed, results={"overrides": typed})
    write_run(tmp_path, "nin", 0, results={"overrides": ["head=nin", "head.relu=true"]})
    made = commands(compare(collect([tmp_path]), Question(where=("dataset=digits",))))
    assert made == [
        "gapfc train -m head=gap,fc trainer.epochs=12 seed=0,1,2",
        "gapfc train head=nin head.relu=true seed=0",
        f"gapfc compare {tmp_path} --metric test.accuracy --by head --baseline head=fc "
        "--where dataset=digits",
    ]


def test_a_matrix_is_one_command_that_begins_with_scratch(tmp_path):
    for head in ("gap", "fc"):
        for protocol in ("finetune", "scratch"):
            for seed in (0, 1):
                run = write_transfer(tmp_path, head, protocol, seed)
                typed = ["+experiment=x", f"source.head={head}", f"protocol={protocol}", "~augment"]
                change(run, {}, {"overrides": typed})
    run = write_transfer(tmp_path, "spp", "scratch", 0)
    change(run, {}, {"overrides": ["+experiment=x", "source.head=spp", "protocol=scratch"]})
    made = commands(compare(collect([tmp_path]), Question(by=("source.head", "protocol"))))
    heads = made[0].split()[4].removeprefix("source.head=").split(",")
    assert sorted(heads) == ["fc", "gap"]
    assert made[0] == (
        f"gapfc transfer -m experiment=x source.head={','.join(heads)} "
        "protocol=scratch,finetune '~augment' seed=0,1"
    )
    assert made[1] == "gapfc transfer experiment=x source.head=spp protocol=scratch seed=0"
    assert len(made) == 3


def test_without_recorded_overrides_the_whole_configuration_is_told(tmp_path):
    write_run(tmp_path, "fc", 0)
    line = commands(compare(collect([tmp_path]), Question()))[0]
    assert line.startswith("gapfc train dataset=digits backbone=convnet head=fc ")
    assert "'head.hidden=[512]'" in line
    assert "optimizer.lr=0.05" in line
    assert "_target_" not in line
