"""results.json: what it holds, and what is said of one that does not."""

import json

import numpy as np
import pytest
import torch

import gapfc
from gapfc.errors import UserError
from gapfc.records.results import (
    FIELDS,
    ResultsError,
    build_results,
    read_results,
    validate_results,
)

REQUIRED = {
    "status": "completed",
    "command": "train",
    "seed": 0,
    "group": "abc",
    "dataset": "digits",
    "backbone": "convnet",
    "head": "gap",
}


def test_what_is_absent_is_null():
    got = build_results(**REQUIRED)
    assert list(got) == list(FIELDS)
    assert (got["schema"], got["gapfc"]) == (1, gapfc.__version__)
    assert got["test"] is None


def test_every_key_of_the_design_is_there():
    keys = """schema status error command seed group dataset backbone head device precision threads
        cores world_size gapfc torch git parameters macs feature_map input epochs steps
        train_seconds images_per_second peak_memory_bytes train val test best_epoch
        generalization_gap convergence"""
    assert set(FIELDS) == set(keys.split())


def test_runs_of_before_do_not_say_how_many_threads_they_had():
    before = {
        k: v
        for k, v in build_results(**REQUIRED).items()
        if k not in ("threads", "cores", "world_size")
    }
    validate_results(before)
    for wrong in ("2", True, 1.5):
        with pytest.raises(ValueError, match=r"'threads' is .* and should be int or null"):
            validate_results(before | {"threads": wrong})


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
        ("[1]", "not a gapfc results.json"),
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
