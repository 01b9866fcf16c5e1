"""What is exported, run by others, gives the model's logits; what does not is not kept."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors.torch import load_file
from torch import nn

import gapfc
from gapfc import heads
from gapfc.backbones import NIN, ConvNet, ResNetCifar
from gapfc.errors import UserError
from gapfc.model.build import feature_shape
from gapfc.model.classifier import Classifier
from gapfc.records.inputs import Inputs
from gapfc.trained.export import export as exporting
from gapfc.trained.export.check import compare
from gapfc.trained.export.export import FORMATS, export
from gapfc.trained.export.program import Network, NotExported
from gapfc.trained.model import TrainedModel

CLASSES = ("cat", "dog", "größe", 'a "b"')
SIZE = (16, 16)
HEADS = {name: getattr(heads, name) for name in heads.__all__}
OPTIONS = {
    "avg": ("SPP", {"pool": "avg", "levels": [1, 3, 5], "hidden": [5]}),
    "avg windows": ("SPPFixed", {"pool": "avg", "windows": [1, 4]}),
    "no convolution": ("NIN", {"conv": False}),
    "own p": ("GeM", {"p": 2.37}),
}
BACKBONES = {
    "pool none": lambda: ConvNet((4, 6), pool_after=(1, 2), pool={"kind": "none"}),
    "circular": lambda: ConvNet((4, 6), pool_after=(1, 2), padding="circular"),
    "circular, rounding up": lambda: ConvNet(
        (4, 6),
        batch_norm=False,
        pool_after=(1, 2),
        padding="circular",
        pool={"kind": "avg", "kernel_size": 3, "stride": 2, "ceil_mode": True},
    ),
    "nin": NIN,
    "nin circular": lambda: NIN(padding="circular"),
    "resnet": ResNetCifar,
    "resnet circular": lambda: ResNetCifar(padding="circular"),
}


def trained(head="GAP", backbone=None, size=SIZE, **options):
    """A model with random weights whose batch norms have seen something."""
    torch.manual_seed(0)
    backbone = ConvNet(widths=(6, 4), pool_after=(1,)) if backbone is None else backbone
    head = HEADS[head] if isinstance(head, str) else head
    model = Classifier(backbone, head(feature_shape(backbone, size), len(CLASSES), **options))
    model(torch.randn(16, 3, *size))
    inputs = Inputs(CLASSES, (0.4, 0.5, 0.3), (0.2, 0.25, 0.3), size, size)
    return TrainedModel(model.backbone, model.head, inputs)


def pixels(*shape):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def logits(model, images):
    """By hand, from pixels."""
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (model.inputs.mean, model.inputs.std)
    )
    with torch.no_grad():
        return model.head(model.backbone((images / 255 - mean) / std))


def session(path):
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: gapfc[onnx]")
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def needs_onnx():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"needs {name}: gapfc[onnx]")


def same_logits(run, model, shapes):
    for shape in shapes:
        images = pixels(*shape)
        expected = logits(model, images)
        found = torch.as_tensor(run(images))
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def onnx_logits(path):
    opened = session(path)
    return lambda images: opened.run(["logits"], {"images": images.numpy()})[0]


@pytest.mark.slow
def test_onnx_takes_pixels_of_any_batch_and_image_size(tmp_path):
    needs_onnx()
    import onnx

    model = trained("SPP", levels=[1, 3])
    done = export(model, tmp_path / "a.onnx", {"head": "spp"})
    assert (done.any_size, done.note) == (True, None)
    assert done.size == done.path.stat().st_size
    assert [len(done.agreement.shapes), done.agreement.difference < 1e-5] == [3, True]
    same_logits(onnx_logits(done.path), model, [(1, 3, 16, 16), (5, 3, 16, 16), (2, 3, 9, 30)])

    (taken,) = session(done.path).get_inputs()
    assert (taken.name, taken.type) == ("images", "tensor(uint8)")
    assert taken.shape == ["batch", 3, "height", "width"]
    (given,) = session(done.path).get_outputs()
    assert (given.name, given.type, given.shape) == ("logits", "tensor(float)", ["batch", 4])
    written = onnx.load(done.path)
    assert written.opset_import[0].version == 18
    facts = {entry.key: entry.value for entry in written.metadata_props}
    assert json.loads(facts["classes"]) == list(CLASSES)
    assert json.loads(facts["mean"]) == [0.4, 0.5, 0.3]
    assert facts["head"] == "spp"
    assert facts["gapfc"] == gapfc.__version__
    assert str(Path(gapfc.__file__).parent).encode() not in done.path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("head", ["GAP", "SPP"])
def test_a_program_takes_pixels_of_any_batch_and_image_size(tmp_path, head):
    model = trained(head)
    done = export(model, tmp_path / "a.pt2", {"head": head})
    assert done.any_size
    extra = {"gapfc.json": ""}
    run = torch.export.load(done.path, extra_files=extra).module()
    same_logits(run, model, [(1, 3, 16, 16), (5, 3, 16, 16), (2, 3, 11, 30)])
    facts = json.loads(extra["gapfc.json"])
    assert json.loads(facts["classes"]) == list(CLASSES)
    assert [facts["size"], facts["resize"], facts["head"]] == ["[16, 16]", "squash", head]
    assert str(Path(gapfc.__file__).parent).encode() not in done.path.read_bytes()


def test_weights_fit_a_network_built_anew(tmp_path):
    model = trained("FC", hidden=[5])
    done = export(model, tmp_path / "a.safetensors", {"head": "fc", "backbone": "convnet"})
    assert done.agreement.difference == 0
    fresh = trained("FC", ConvNet(widths=(6, 4), pool_after=(1,)), hidden=[5])
    for parameter in fresh.parameters():
        nn.init.ones_(parameter)
    fresh.load_state_dict(load_file(done.path))
    assert torch.equal(logits(fresh, pixels(3, 3, 16, 16)), logits(model, pixels(3, 3, 16, 16)))
    with safetensors.safe_open(done.path, "pt") as opened:
        facts = opened.metadata()
    assert [facts[key] for key in ("head", "backbone", "std")] == [
        "fc", "convnet", "[0.2, 0.25, 0.3]",
    ]  # fmt: skip
    assert json.loads(facts["classes"]) == list(CLASSES)


def test_fc_takes_the_size_of_training_alone(tmp_path):
    done = export(trained("FC"), tmp_path / "a.pt2", {})
    assert (done.any_size, done.note) == (False, None)
    assert done.agreement.shapes == ((1, 3, 16, 16), (3, 3, 16, 16))
    with pytest.raises(AssertionError, match="16"):
        torch.export.load(done.path).module()(pixels(1, 3, 20, 20))


def test_raw_takes_normalised_images(tmp_path):
    model = trained()
    done = export(model, tmp_path / "a.pt2", {}, raw=True)
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(torch.export.load(done.path).module()(images), model(images))
    with pytest.raises(UserError, match=r"--raw: weights alone"):
        export(model, tmp_path / "a.safetensors", {}, raw=True)


def test_pixels_are_normalised_as_by_the_model(tmp_path):
    model, images = trained(), pixels(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(Network(model)(images), model(images))


def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model = trained()
    before = copy.deepcopy(model.state_dict())
    export(model, tmp_path / "a.safetensors", {})
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Parity(heads.GAP):
    """Which torch.export can't follow: one branch for small maps, another for large ones."""

    def forward(self, features):
        return super().forward(features if features.shape[2] < 10 else 2 * features)


def test_what_cannot_take_any_size_takes_one_and_says_why(tmp_path):
    done = export(trained(Parity), tmp_path / "a.pt2", {})
    assert not done.any_size
    assert done.note.startswith("at 2×3×25×21: ")
    assert torch.export.load(done.path).module()(pixels(1, 3, 16, 16)).shape == (1, 4)


def test_another_networks_logits_are_not_kept(tmp_path, monkeypatch):
    def off(network, facts, any_size):
        wrong = copy.deepcopy(network)
        next(wrong.head.classifier.parameters()).add_(0.01)
        return FORMATS[".safetensors"].write(wrong, facts, any_size)

    wrong = replace(FORMATS[".safetensors"], write=off)
    monkeypatch.setattr(exporting, "FORMATS", {".safetensors": wrong})
    with pytest.raises(UserError, match=r"was not written.* at 1×3×16×16 a logit is off by \S+e-0"):
        export(trained(), tmp_path / "a.safetensors", {})
    assert list(tmp_path.iterdir()) == []


def test_nothing_passes_for_not_a_number():
    network = Network(trained())
    with pytest.raises(NotExported, match="off by nan"):
        compare(network, lambda images: network(images) * float("nan"), any_size=False)
    with pytest.raises(NotExported, match=r"logits 1×3, not 1×4"):
        compare(network, lambda images: network(images)[:, :3], any_size=False)


def test_a_divisor_is_not_lost_silently(tmp_path):
    needs_onnx()
    pool = {"kind": "avg", "divisor_override": 3}
    model = trained(backbone=ConvNet(widths=(4, 6), pool_after=(1,), pool=pool))
    with pytest.raises(UserError, match=r"no divisor \(backbone.pool.divisor_override\)"):
        export(model, tmp_path / "a.onnx", {})
    assert list(tmp_path.iterdir()) == []


def test_files_are_not_written_over_unasked(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("mine")
    with pytest.raises(UserError, match=r"a.safetensors exists: --force"):
        export(trained(), path, {})
    assert path.read_text() == "mine"
    export(trained(), path, {}, force=True)
    assert load_file(path).keys() == trained().state_dict().keys()
    for name in ("a.txt", "a", "a.pt"):
        with pytest.raises(UserError, match=r"FILE.onnx .* FILE.pt2 .* FILE.safetensors"):
            export(trained(), tmp_path / name, {})
    with pytest.raises(UserError, match=r"b.safetensors cannot be written: "):
        export(trained(), path / "b.safetensors", {})


def test_without_onnx_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'need onnx and onnxscript: pip install "gapfc\[onnx\]"'):
        export(trained(), tmp_path / "a.onnx", {})
    export(trained(), tmp_path / "a.safetensors", {})


def test_without_onnxruntime_the_file_is_kept_and_not_checked(tmp_path, monkeypatch):
    unread = replace(FORMATS[".safetensors"], read=lambda content, network: None)
    monkeypatch.setattr(exporting, "FORMATS", {".safetensors": unread})
    done = export(trained(), tmp_path / "a.safetensors", {})
    assert done.agreement is None
    assert done.path.exists()


def test_exporters_are_silent(tmp_path, capfd):
    export(trained("SPPF"), tmp_path / "a.pt2", {})
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".onnx", ".pt2", ".safetensors"])
@pytest.mark.parametrize("head", [*HEADS, *OPTIONS])
def test_every_head_in_every_format(tmp_path, head, ending):
    needs_onnx()
    name, options = OPTIONS.get(head, (head, {}))
    model = trained(name, size=(24, 24), **options)
    done = export(model, tmp_path / f"a{ending}", {})
    assert (done.any_size, done.note) == (name != "FC", None)
    if ending == ".onnx":
        sizes = [(24, 24), (19, 31), (48, 40)] if done.any_size else [(24, 24)]
        same_logits(onnx_logits(done.path), model, [(2, 3, *size) for size in sizes])


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_of_gapfc(tmp_path, name, ending):
    needs_onnx()
    done = export(trained("SPP", BACKBONES[name](), (32, 32)), tmp_path / f"a{ending}", {})
    assert (done.any_size, done.note) == (True, None)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mobilenet_v3_small", "resnet18", "squeezenet1_1"])
def test_torchvisions_backbones(tmp_path, architecture):
    needs_onnx()
    from gapfc.backbones import Torchvision

    model = trained("GAP", Torchvision(architecture), (64, 64))
    for ending in (".onnx", ".pt2"):
        done = export(model, tmp_path / f"a{ending}", {})
        assert (done.any_size, done.note) == (True, None)
