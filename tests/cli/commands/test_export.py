"""`gapfc export` as a user runs it: what is written and said, what is refused."""

import re
import shutil

import pytest
import torch
import yaml
from processes import run
from safetensors.torch import load_file
from whole_runs import train

import gapfc


@pytest.fixture
def export(tmp_path):
    """`export(run, file, …)` in an empty folder."""
    return lambda *arguments: run("export", *map(str, arguments), folder=tmp_path)


@pytest.mark.slow
def test_a_program_of_a_run(export, digits_run, tmp_path):
    code, out, err = export(digits_run, "gap.pt2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert re.fullmatch(r"gap\.pt2: program of torch\.export, \d+ kB", lines[0])
    assert lines[1:3] == [
        "  images   uint8 [batch, 3, height, width], RGB from 0 to 255",
        "  logits   float32 [batch, 10]",
    ]
    assert lines[3] == "  size     any (trained at 12×12); resize images to 12×12 first"
    assert "with torch.export.load, on 1×3×12×12, 3×3×12×12 and 2×3×19×16" in " ".join(out.split())
    assert max(map(len, lines)) <= 80
    images = torch.randint(256, (4, 3, 12, 12), dtype=torch.uint8)
    found = torch.export.load(tmp_path / "gap.pt2").module()(images)
    torch.testing.assert_close(found, gapfc.load(digits_run)(images))


def test_weights_of_a_run_and_a_file_that_exists(export, digits_run, tmp_path):
    code, out, _ = export(digits_run, "made/gap.safetensors")
    assert (code, "weights by name" in out) == (0, True)
    best = torch.load(digits_run / "checkpoints/best.pt", weights_only=True)["model"]
    weights = load_file(tmp_path / "made/gap.safetensors")
    assert best.keys() == weights.keys()
    assert all(torch.equal(best[name], tensor) for name, tensor in weights.items())
    code, _, err = export(digits_run, "made/gap.safetensors")
    assert (code, err) == (
        2, "gapfc: error: made/gap.safetensors exists: --force writes over it\n"
    )  # fmt: skip
    assert export(digits_run, "made/gap.safetensors", "--force")[0] == 0


@pytest.mark.slow
def test_onnx_of_a_run(export, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: gapfc[onnx]")
    fc = train(tmp_path, "head=fc", "dataset.image_size=8", "dataset.train_limit=60")
    code, out, err = export(fc, "fc.onnx", "--raw")
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert "fc.onnx: ONNX, opset 18" in said
    assert "images float32 [batch, 3, 8, 8], normalised: (pixel / 255 - [0.3" in said
    assert "size 8×8 only; resize images to 8×8 first" in said
    assert "with onnxruntime, on 1×3×8×8 and 3×3×8×8: logits differ" in said


def test_what_is_refused_before_anything_is_loaded(export, digits_run, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, words in {
        (digits_run, "gap.h5"): "FILE.onnx",
        (digits_run, "w.safetensors", "--raw"): "--raw: weights alone take no images",
        (digits_run, "w.pt2", "head=fc"): "gapfc export takes no setting but trust",
        (digits_run,): "takes a run directory and a file",
        ("nowhere", "w.pt2"): "nowhere does not exist",
        (tmp_path / "empty", "w.pt2"): "is not a run directory",
    }.items():
        code, out, err = export(*arguments)
        assert (code, out) == (2, "")
        assert words in err
        assert len(err.splitlines()) == 1
    assert not list(tmp_path.glob("w.*"))


def test_a_strangers_class_is_not_built_unasked(export, digits_run, tmp_path):
    stranger = shutil.copytree(digits_run, tmp_path / "stranger")
    path = stranger / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["head"]["_target_"] = "os.system"
    path.write_text(f"# gapfc train\n{yaml.safe_dump(config)}")
    code, _, err = export(stranger, "a.pt2")
    assert code == 2
    assert "head._target_=os.system" in err
    assert "trust=true, or the --config-dir" in err
