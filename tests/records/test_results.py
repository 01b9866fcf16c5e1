"""results.json and what makes two runs one group."""

import copy
import json

import numpy as np
import pytest
import torch

import gapfc
from gapfc.errors import UserError
from gapfc.records.results import FIELDS, ResultsError, build_results, group_hash, read_results

REQUIRED = {
    "status": "completed",
    "command": "train",
    "seed": 0,
    "group": "abc",
    "dataset": "digits",
    "backbone": "convnet",
    "head": "gap",
}
CONFIG = {
    "seed": 0,
    "data_root": "/home/a/data",
    "output_root": "outputs",
    "resume": None,
    "backbone": {"name": "squeezenet1_1", "weights": "/home/a/data/weights/s.pth"},
    "head": {"name": "fc", "hidden": [512]},
    "dataset": {"name": "folder", "residency": "auto", "val_fraction": 0.1},
    "trainer": {"epochs": 12, "progress": "auto", "eval_batch_size": 256},
}


def changed(path, value):
    config = copy.deepcopy(CONFIG)
    node = config
    *groups, key = path.split(".")
    for group in groups:
        node = node[group]
    node[key] = value
    return group_hash(config)


def test_what_is_absent_is_null():
    got = build_results(**REQUIRED)
    assert list(got) == list(FIELDS)
    assert (got["schema"], got["gapfc"]) == (1, gapfc.__version__)
    assert got["test"] is None


def test_every_key_of_the_design_is_there():
    keys = """schema status error command seed group dataset backbone head device precision gapfc
        torch git parameters macs feature_map input epochs steps train_seconds images_per_second
        peak_memory_bytes train val test best_epoch generalization_gap convergence"""
    assert set(FIELDS) == set(keys.split())


def test_numbers_become_plain_and_finite():
    got = build_results(
        **REQUIRED,
        steps=np.int64(7),
        train_seconds=torch.tensor(1.5),
        test={"nll": float("inf"), "ece": np.float32(0.5)},
        input=(3, 32, 32),
        eval_sizes={64: 0.5},
    )
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert (got["steps"], got["train_seconds"], got["input"]) == (7, 1.5, [3, 32, 32])
    assert got["test"] == {"nll": None, "ece": 0.5}
    assert got["eval_sizes"] == {"64": 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "ok"}, "status"),
        ({"seed": None}, "seed"),
        ({"seed": True}, "seed"),
        ({"head": 3}, "head"),
        ({"parameters": 12}, "'parameters' is 12, and should be dict or null"),
        ({"schema": 2}, "schema 1 expected, found 2"),
    ],
)
def test_a_wrong_value_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        build_results(**(REQUIRED | change))


def test_reads_a_folder_or_a_file(tmp_path):
    expected = build_results(**REQUIRED)
    (tmp_path / "results.json").write_text(json.dumps(expected))
    assert read_results(tmp_path) == expected
    assert read_results(tmp_path / "results.json") == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "has not ended"),
        ('{"schema": 1, "sta', "cannot be read"),
        ("[1]", "not a results.json"),
        ('{"accuracy": 1}', "schema 1 expected, found None"),
        ('{"schema": 1, "status": "completed"}', "'command' is missing"),
    ],
)
def test_says_why_there_are_no_results(tmp_path, text, why):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(ResultsError, match=why) as error:
        read_results(tmp_path)
    assert isinstance(error.value, UserError)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 5),
        ("output_root", "/elsewhere"),
        ("resume", "outputs/x"),
        ("trainer.progress", False),
        ("trainer.eval_batch_size", 8),
        ("dataset.residency", "stream"),
    ],
)
def test_the_group_is_the_same_whoever_ran_it_where(path, value):
    assert changed(path, value) == group_hash(CONFIG)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("head.hidden", [256]),
        ("backbone.weights", "/home/a/data/weights/other.pth"),
        ("trainer.epochs", 13),
        ("dataset.val_fraction", 0.2),
    ],
)
def test_the_group_differs_where_the_training_does(path, value):
    assert changed(path, value) != group_hash(CONFIG)


def test_the_group_does_not_depend_on_the_data_root_or_the_order_of_keys():
    elsewhere = json.loads(json.dumps(CONFIG).replace("/home/a/data", "../mine"))
    assert group_hash(elsewhere) == group_hash(CONFIG)
    assert group_hash(dict(reversed(CONFIG.items()))) == group_hash(CONFIG)
    assert len(group_hash(CONFIG)) == 12
