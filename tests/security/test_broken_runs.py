"""A run directory with anything in it: named and left out, without stopping or hanging the rest."""

import json
import os

import pytest
from synthetic import write_run

from gapfc.compare.collect import collect
from gapfc.errors import UserError
from gapfc.records.run import open_run, read_run
from gapfc.records.stored_text import parse_json, parse_yaml, read_text

BAD_RESULTS = {
    "nested": "[" * 100_000,
    "nested objects": '{"a":' * 100_000,
    "half a surrogate": '{"head": "\\ud800"}',
    "a number without end": '{"seed": ' + "9" * 400 + "}",
    "digits beyond Python's limit": '{"seed": ' + "9" * 5000 + "}",
    "not a number": '{"seed": NaN}',
    "a list": "[1, 2]",
    "text": '"results"',
    "cut": '{"schema": 1, "sta',
    "empty": "",
    "nothing but zeros": "\0" * 4096,
}
BAD_CONFIGS = {
    "aliases that unfold": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "nested": "[" * 100_000,
    "a tag that makes objects": "a: !!python/object/apply:os.system [touch mark]\n",
    "a date": "seed: 2026-11-24\n",
    "keys that are no text": "1: 2\n",
    "binary": "a: !!binary aGVsbG8=\n",
    "a number without end": "seed: " + "9" * 400,
    "an unclosed quote": "a: 'b\n",
    "a list": "- 1\n",
    "empty": "",
    "a timestamp that breaks PyYAML": "a: !!timestamp 99999-01-01\n",
    "megabytes": "a: " + "x" * (2 << 20),
}


def _left_out(tmp_path, bad):
    """What is said of the run `bad`, which lies beside a good one."""
    good = write_run(tmp_path, "fc", 0)
    found = collect([tmp_path])
    assert [run.path for run in found.runs] == [good]
    (left_out,) = found.unusable
    assert left_out.path == bad
    assert left_out.status == "broken"
    assert len(left_out.reason.splitlines()) == 1
    assert len(left_out.reason) < 400
    return left_out.reason


@pytest.mark.parametrize("case", BAD_RESULTS)
def test_a_broken_result_is_left_out(case, tmp_path):
    bad = write_run(tmp_path, "gap", 0)
    (bad / "results.json").write_text(BAD_RESULTS[case])
    assert "results.json" in _left_out(tmp_path, bad)


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_broken_config_is_left_out_and_cannot_be_opened(case, tmp_path):
    bad = write_run(tmp_path, "gap", 0)
    (bad / "config.yaml").write_text(BAD_CONFIGS[case])
    assert "config.yaml cannot be read" in _left_out(tmp_path, bad)
    with pytest.raises(UserError, match=r"config\.yaml cannot be read") as caught:
        open_run(bad)
    assert len(str(caught.value).splitlines()) == 1


def test_a_latin_1_config_is_left_out(tmp_path):
    bad = write_run(tmp_path, "gap", 0)
    (bad / "config.yaml").write_bytes("head: {name: caf\u00e9}".encode("latin-1"))
    assert "config.yaml cannot be read" in _left_out(tmp_path, bad)


@pytest.mark.parametrize("name", ["results.json", "config.yaml"])
def test_a_pipe_is_not_waited_for(name, tmp_path):
    bad = write_run(tmp_path, "gap", 0)
    (bad / name).unlink()
    os.mkfifo(bad / name)
    assert "it is not a regular file" in _left_out(tmp_path, bad)


def test_a_run_does_not_take_the_config_of_another_group(tmp_path):
    """By naming that group in its results."""
    good, bad = write_run(tmp_path, "fc", 0), write_run(tmp_path, "gap", 0)
    results = json.loads((bad / "results.json").read_text())
    results["group"] = json.loads((good / "results.json").read_text())["group"]
    (bad / "results.json").write_text(json.dumps(results))
    configs = {}
    assert read_run(good, configs).config["head"]["name"] == "fc"
    assert read_run(bad, configs).config["head"]["name"] == "gap"


def test_limits_of_size(tmp_path):
    path = tmp_path / "text"
    path.write_text("x" * (1 << 20))
    assert len(read_text(path, 1 << 20)) == 1 << 20
    path.write_text("x" * ((1 << 20) + 1))
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_text(path, 1 << 20)


def test_what_gapfc_writes_is_read():
    assert parse_json('{"a": [1, -2.5e-3, null, true, "\\u00e9"]}') == {
        "a": [1, -0.0025, None, True, "é"]
    }
    assert parse_yaml("a: {b: [1, 2.0, null, true, '*x', 'a & b']}") == {
        "a": {"b": [1, 2.0, None, True, "*x", "a & b"]}
    }
