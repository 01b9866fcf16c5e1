"""`gapfc export` as a user runs it: what is written and said, what is refused."""

import re
import shutil

import pytest
import torch
import yaml
from processes import run
from safetensors.torch import load_file
from test_evaluate import SMALL, of

import gapfc


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a run under gap and one under fc."""
    folder = tmp_path_factory.mktemp("export")
    code, _, err = run("train", "-m", "head=gap,fc", *SMALL, "trainer.epochs=1", folder=folder)
    assert code == 0, err
    return folder


def export(folder, *arguments):
    return run("export", *map(str, arguments), folder=folder)


def test_a_program_of_a_run(folder):
    code, out, err = export(folder, of(folder, "gap"), "gap.pt2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert re.fullmatch(r"gap\.pt2: program of torch\.export, \d+ kB", lines[0])
    assert lines[1:3] == [
        "  images   uint8 [batch, 3, height, width], RGB from 0 to 255",
        "  logits   float32 [batch, 10]",
    ]
    assert lines[3] == "  size     any (trained at 8×8); resize images to 8×8 first"
    assert "with torch.export.load, on 1×3×8×8, 3×3×8×8 and 2×3×13×11" in " ".join(out.split())
    assert max(map(len, lines)) <= 80
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    found = torch.export.load(folder / "gap.pt2").module()(images)
    torch.testing.assert_close(found, gapfc.load(of(folder, "gap"))(images))


def test_weights_of_a_run_and_a_file_that_exists(folder):
    code, out, _ = export(folder, of(folder, "fc"), "made/fc.safetensors")
    assert (code, "weights by name" in out) == (0, True)
    best = torch.load(of(folder, "fc") / "checkpoints/best.pt", weights_only=True)["model"]
    weights = load_file(folder / "made/fc.safetensors")
    assert best.keys() == weights.keys()
    assert all(torch.equal(best[name], tensor) for name, tensor in weights.items())
    code, _, err = export(folder, of(folder, "fc"), "made/fc.safetensors")
    assert (code, err) == (
        2, "gapfc: error: made/fc.safetensors exists: --force writes over it\n"
    )  # fmt: skip
    assert export(folder, of(folder, "fc"), "made/fc.safetensors", "--force")[0] == 0


@pytest.mark.slow
def test_onnx_of_a_run(folder):
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: gapfc[onnx]")
    code, out, err = export(folder, of(folder, "fc"), "fc.onnx", "--raw")
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert "fc.onnx: ONNX, opset 18" in said
    assert "images float32 [batch, 3, 8, 8], normalised: (pixel / 255 - [0.3" in said
    assert "size 8×8 only; resize images to 8×8 first" in said
    assert "with onnxruntime, on 1×3×8×8 and 3×3×8×8: logits differ" in said


def test_what_is_refused_before_anything_is_loaded(folder):
    gap = of(folder, "gap")
    (folder / "empty").mkdir()
    for arguments, words in {
        (gap, "gap.h5"): "FILE.onnx",
        (gap, "w.safetensors", "--raw"): "--raw: weights alone take no images",
        (gap, "w.pt2", "head=fc"): "gapfc export takes no setting but trust",
        (gap,): "takes a run directory and a file",
        ("nowhere", "w.pt2"): "nowhere does not exist",
        (folder / "empty", "w.pt2"): "is not a run directory",
    }.items():
        code, out, err = export(folder, *arguments)
        assert (code, out) == (2, "")
        assert words in err
        assert len(err.splitlines()) == 1
    assert not list(folder.glob("w.*"))


def test_a_strangers_class_is_not_built_unasked(folder, tmp_path):
    run_directory = tmp_path / "stranger"
    shutil.copytree(of(folder, "gap"), run_directory)
    path = run_directory / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["head"]["_target_"] = "os.system"
    path.write_text(f"# gapfc train\n{yaml.safe_dump(config)}")
    code, _, err = export(tmp_path, run_directory, "a.pt2")
    assert code == 2
    assert "head._target_=os.system" in err
    assert "trust=true, or the --config-dir" in err
