"""What a protocol makes of a config, new classes beside old ones, and the scratch reference."""

import json
from pathlib import Path

import pytest
import torch

from gapfc.data.arrays import Arrays
from gapfc.data.dataset import Dataset
from gapfc.errors import UserError
from gapfc.records.results import build_results
from gapfc.transfer.classes import extended, old_classes
from gapfc.transfer.protocols import PROTOCOLS, protocol_of
from gapfc.transfer.scratch import against_scratch, find_scratch, target_hash
from gapfc.transfer.target import model_nodes

CONFIG = {
    "backbone": {"name": "convnet", "weights": "DEFAULT", "trainable": "all"},
    "head": {"name": "fc", "hidden": [512], "dropout": 0.5},
}


@pytest.mark.parametrize(
    ("name", "trainable", "hidden"),
    [
        ("scratch", "all", [512]),
        ("linear_probe", "none", []),
        ("last_block", "last", [512]),
        ("lp_ft", "all", []),
        ("finetune", "all", [512]),
        ("head_kept", "all", [512]),
    ],
)
def test_nodes(name, trainable, hidden):
    nodes = model_nodes(CONFIG, protocol_of(name), pretrained=False)
    assert nodes["backbone"]["trainable"] == trainable
    assert nodes["head"]["hidden"] == hidden
    assert nodes["backbone"]["weights"] is None  # the source's own state is loaded
    assert CONFIG["head"]["hidden"] == [512]
    nodes = model_nodes(CONFIG, protocol_of(name), pretrained=True)
    assert nodes["backbone"]["weights"] == (None if name == "scratch" else "DEFAULT")


def test_a_probe_takes_nins_relu_and_no_option_that_the_head_lacks():
    nin = {"name": "nin", "relu": True, "dropout": 0.2}
    found = model_nodes({**CONFIG, "head": nin}, protocol_of("lp_ft"), False)["head"]
    assert found == {"name": "nin", "relu": False, "dropout": 0.0}


def test_unknown_protocols_name_the_known_ones():
    with pytest.raises(UserError, match="protocol=probe: it takes scratch, linear_probe"):
        protocol_of("probe")
    assert set(PROTOCOLS) == {
        "scratch", "linear_probe", "last_block", "lp_ft", "finetune", "head_kept"
    }  # fmt: skip


def dataset(classes, labels):
    images = torch.arange(len(labels), dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    split = Arrays(images, torch.tensor(labels))
    return Dataset("set", classes, split, split, split, (0.5,) * 3, (0.5,) * 3)


def test_old_classes_come_first_and_shared_ones_once():
    target = extended(dataset(("b", "d"), [0, 1, 1]), ("a", "b", "c"))
    assert target.classes == ("a", "b", "c", "d")
    assert target.train.labels.tolist() == [1, 3, 3]
    assert target.test.labels.tolist() == [1, 3, 3]


def test_old_images_are_those_of_classes_that_are_still_there():
    target, source = dataset(("b", "d", "a"), [0, 1, 2]), dataset(("a", "b", "c"), [2, 1, 0, 1])
    kept = old_classes(target, source)
    assert kept.test.labels.tolist() == [0, 2, 0]
    assert kept.test.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert kept.classes == target.classes
    assert old_classes(dataset(("d", "e"), [0, 1]), source) is None


def target(root, **changes):
    names = {part: {"name": part} for part in ("dataset", "backbone", "head")}
    places = {"output_root": str(root), "seed": 0, "source": "a", "protocol": "finetune"}
    return names | places | {"trainer": {"epochs": 3}} | changes


def scratch_run(config, name, status="completed", accuracy=0.6):
    config = {"protocol": "scratch", "source": "b"} | config
    folder = Path(config["output_root"], "transfer", "dataset", "backbone", "head", name)
    folder.mkdir(parents=True)
    results = build_results(
        status=status, command="transfer", seed=config["seed"], group="g", dataset="dataset",
        backbone="backbone", head="head", test={"accuracy": accuracy}, val={"accuracy": 0.7},
        best_epoch=4,
    )  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML, too
    return folder


def test_the_scratch_run_is_of_the_same_target_and_seed_and_the_newest(tmp_path):
    wanted, scratch = target(tmp_path), target(tmp_path, protocol="scratch", source="b")
    scratch_run(scratch, "20260101-000000-s0")
    newest = scratch_run(scratch, "20260102-000000-s0")
    scratch_run(scratch | {"trainer": {"epochs": 4}}, "20260103-000000-s0")
    scratch_run(scratch, "20260104-000000-s0", status="failed")
    scratch_run(scratch | {"protocol": "finetune"}, "20260105-000000-s0")
    scratch_run(scratch | {"seed": 1}, "20260106-000000-s1")
    found = find_scratch(wanted)
    assert found is not None
    assert found.path == newest
    assert find_scratch(wanted | {"seed": 2}) is None


def test_the_target_is_the_same_for_all_protocols_and_sources_alone():
    config = {"protocol": "scratch", "source": "a", "seed": 1, "trainer": {"epochs": 3}}
    same = {"protocol": "finetune", "source": {"head": "fc"}, "seed": 2, "trainer": {"epochs": 3}}
    assert target_hash(config) == target_hash(same)
    assert target_hash(config) != target_hash(config | {"trainer": {"epochs": 4}})


def test_gain_and_convergence_against_scratch_by_hand(tmp_path):
    wanted = target(tmp_path)
    scratch = scratch_run(wanted | {"protocol": "scratch"}, "20260101-000000-s0")
    history = [
        {"val_accuracy": 0.5, "step": 10, "seconds": 1.0},
        {"val_accuracy": 0.9, "step": 20, "seconds": 2.0},
    ]
    found = against_scratch(find_scratch(wanted), 0.8, history)
    assert found["gain_over_scratch"] == pytest.approx(0.2)
    assert found["scratch"] == str(scratch)
    reached = found["convergence_against_scratch"]
    assert reached["accuracy"] == 0.7
    assert reached["scratch_epochs"] == 4
    assert (reached["epochs"], reached["steps"], reached["seconds"]) == pytest.approx(
        (1.5, 15, 1.5)
    )
    assert against_scratch(None, 0.8, history)["gain_over_scratch"] is None
