"""Reading run directories: whole ones, cut ones, and those of earlier versions."""

import json

import pytest
from synthetic import write_run

from gapfc.errors import UserError
from gapfc.records.renamed_targets import RENAMED, with_present_targets
from gapfc.records.run import find_runs, open_run, parse_config, read_run, runs_of

CONFIG = "# gapfc train head=gap 'head.hidden=[8, 8]' seed=2\nseed: 2\nhead: {name: gap}\n"


def test_a_completed_run(tmp_path):
    path = write_run(tmp_path, "gap", 1)
    run = read_run(path)
    assert (run.status, run.completed, run.reason) == ("completed", True, None)
    assert (run.command, run.seed, run.name("head")) == ("train", 1, "gap")
    assert run.results["head"] == run.config["head"]["name"] == "gap"
    assert open_run(str(path)).results == run.results


def test_what_a_run_is_in_short(tmp_path):
    """By its test images, or else by those of validation; without either, what is known."""
    epochs = {"epochs": 1}
    one = read_run(write_run(tmp_path, "gap", 1, accuracy=0.9861, results=epochs))
    assert one.in_short == "gap · digits · test 98.6% · 1 epoch"
    two = read_run(write_run(tmp_path, "gap", 2, accuracy=0.6, results={"test": None}))
    assert two.accuracy == ("validation", 0.604)
    assert "validation 60.4%" in two.in_short
    three = read_run(write_run(tmp_path, "gap", 3, results={"test": None, "val": None}))
    assert three.accuracy is None
    assert three.in_short.startswith("gap · digits · ")


def test_a_run_that_has_not_ended_is_known_by_its_config(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    run = read_run(tmp_path)
    assert (run.status, run.seed, run.name("head")) == ("unfinished", 2, "gap")
    assert (run.command, run.overrides) == ("train", ("head=gap", "head.hidden=[8, 8]", "seed=2"))
    assert run.reason == "no results.json: still running, or killed"


def test_a_broken_result_is_named_and_the_config_still_read(tmp_path):
    path = write_run(tmp_path, "gap", 1)
    (path / "results.json").write_text('{"schema": 1, "sta')
    run = read_run(path)
    assert run.status == "broken"
    assert "results.json cannot be read" in run.reason
    assert run.config["head"]["name"] == "gap"


@pytest.mark.parametrize("text", ["", "{", "[1]", "head: [", "\x00"])
def test_a_completed_run_without_its_config_is_broken(text, tmp_path):
    path = write_run(tmp_path, "gap", 1)
    (path / "config.yaml").write_text(text)
    run = read_run(path)
    assert (run.status, run.config) == ("broken", {})
    assert run.reason.startswith("config.yaml cannot be read (")
    with pytest.raises(UserError, match=r"config\.yaml cannot be read"):
        open_run(path)


def test_a_failed_run_tells_its_own_reason_though_its_config_is_gone(tmp_path):
    path = write_run(tmp_path, "gap", 1, status="failed", error="diverged")
    (path / "config.yaml").unlink()
    assert (read_run(path).status, read_run(path).reason) == ("failed", "diverged")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"config\.yaml"):
        open_run(tmp_path)


def test_runs_of_a_group_share_one_config_where_that_is_asked_for(tmp_path):
    paths = [write_run(tmp_path, "gap", seed) for seed in (0, 1)]
    configs = {}
    first, second = (read_run(path, configs) for path in paths)
    assert first.config is second.config
    assert (first.seed, second.seed) == (0, 1)


def test_runs_are_found_in_order_and_hidden_folders_passed_over(tmp_path):
    paths = [write_run(tmp_path / root, "gap", 0) for root in ("b", "a", ".trash")]
    assert list(find_runs(tmp_path)) == [paths[1], paths[0]]
    assert list(find_runs(tmp_path / "nowhere")) == []


def test_runs_of_one_config_are_told_apart_by_what_they_are(tmp_path):
    path = write_run(tmp_path, "gap", 0)
    config = dict(read_run(path).config) | {"output_root": str(tmp_path)}
    assert [run.path for run in runs_of("train", config)] == [path]
    assert runs_of("train", config | {"seed": 1}) == []
    assert runs_of("train", config | {"protocol": "scratch"}) == []
    assert len(runs_of("train", config | {"protocol": "scratch"}, besides=["protocol"])) == 1


def test_a_whole_path_is_the_same_one_whatever_the_data_root(tmp_path):
    weights = str(tmp_path / "data/weights.pth")
    place = {"output_root": str(tmp_path), "data_root": str(tmp_path / "data")}
    path = write_run(tmp_path, "gap", config={**place, "backbone.weights": weights})
    config = read_run(path).config
    assert [run.path for run in runs_of("train", config | {"data_root": "data"})] == [path]
    config["backbone"]["weights"] = "data/weights.pth"  # on another machine
    assert [run.path for run in runs_of("train", config | {"data_root": "data"})] == [path]
    config["backbone"]["weights"] = "elsewhere/weights.pth"
    assert runs_of("train", config | {"data_root": "data"}) == []


@pytest.mark.parametrize("old", RENAMED)
def test_targets_that_moved_are_read_at_their_new_places(old):
    from hydra.utils import get_method

    config = parse_config(f"dataset: {{_target_: {old}, list: [{{_target_: {old}}}]}}")
    new = RENAMED[old]
    assert config == {"dataset": {"_target_": new, "list": [{"_target_": new}]}}
    assert with_present_targets(config) == config
    assert callable(get_method(new))


@pytest.mark.parametrize("field", [{"overrides": None}, {"overrides": 3}, {"error": "  "}])
def test_what_json_may_hold_is_no_reason_to_stop(field, tmp_path):
    path = write_run(tmp_path, "gap", 1, status="failed")
    results = json.loads((path / "results.json").read_text()) | field
    (path / "results.json").write_text(json.dumps(results))
    assert (read_run(path).overrides, read_run(path).reason) == ((), "no reason recorded")


@pytest.mark.parametrize("line", ["head: 3", "seed: x", "trainer: []", "dataset: {name: null}"])
def test_a_config_that_gapfc_has_not_written_is_refused(line, tmp_path):
    path = write_run(tmp_path, "gap", 1)
    key = line.partition(":")[0]
    config = dict(read_run(path).config)
    text = "\n".join(f"{k}: {json.dumps(v)}" for k, v in config.items() if k != key)
    (path / "config.yaml").write_text(f"{line}\n{text}\n")
    with pytest.raises(UserError, match=r"config\.yaml is not of a run"):
        open_run(path)
