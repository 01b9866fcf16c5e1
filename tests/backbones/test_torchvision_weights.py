"""Weight files: what fits is loaded whole, what doesn't is named."""

import os
from collections import OrderedDict
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision

from gapfc.backbones import Torchvision
from gapfc.errors import UserError

ARCHITECTURE = "shufflenet_v2_x0_5"


@pytest.fixture
def state():
    torch.manual_seed(3)
    return torchvision.models.get_model(ARCHITECTURE, weights=None).state_dict()


def load(state, tmp_path, architecture=ARCHITECTURE):
    torch.save(state, tmp_path / "weights.pth")
    return Torchvision(architecture, weights=str(tmp_path / "weights.pth"))


def assert_loaded(backbone, state):
    """The backbone's tensors are, in order, those of the file without its classifier."""
    expected = [value for key, value in state.items() if not key.startswith(("fc.", "classifier"))]
    actual = list(backbone.state_dict().values())
    assert len(actual) == len(expected) > 0
    for mine, theirs in zip(actual, expected, strict=True):
        assert torch.equal(mine, theirs)


def test_whole_file(state, tmp_path):
    assert_loaded(load(state, tmp_path), state)


def test_file_of_the_features_alone(state, tmp_path):
    features = {key: value for key, value in state.items() if not key.startswith("fc.")}
    assert_loaded(load(features, tmp_path), state)


def test_any_classifier(state, tmp_path):
    """A file that was fine-tuned to other classes fits as well."""
    assert_loaded(load({**state, "fc.weight": torch.zeros(7, 1024)}, tmp_path), state)


def test_small_stem_takes_the_same_file(state, tmp_path):
    torch.save(state, tmp_path / "weights.pth")
    backbone = Torchvision(ARCHITECTURE, weights=str(tmp_path / "weights.pth"), stem="small")
    assert_loaded(backbone, state)


def test_counters_may_be_absent(state, tmp_path):
    old = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    assert_loaded(load(old, tmp_path), state)


def test_old_densenet_names(tmp_path):
    state = torchvision.models.densenet121(weights=None).state_dict()
    old = OrderedDict(
        (
            key.replace("norm1.", "norm.1.")
            .replace("norm2.", "norm.2.")
            .replace("conv1.", "conv.1.")
            .replace("conv2.", "conv.2."),
            value,
        )
        for key, value in state.items()
    )
    assert old.keys() != state.keys()
    assert_loaded(load(old, tmp_path, "densenet121"), state)


def test_mismatch_names_keys_and_shapes(state, tmp_path):
    del state["conv5.0.weight"]
    state["conv1.0.weight"] = torch.zeros(24, 1, 3, 3)
    state["layer9.weight"] = torch.zeros(1)
    with pytest.raises(UserError) as caught:
        load(state, tmp_path)
    message = str(caught.value)
    assert "the file lacks conv5.0.weight;" in message
    assert "the model does not have layer9.weight;" in message
    assert "conv1.0.weight is 24 x 1 x 3 x 3 in the file and 24 x 3 x 3 x 3 in the model" in message


def test_many_mismatches_are_counted(state, tmp_path):
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(
        UserError, match=r"lacks conv1.weight, bn1.weight, bn1.bias and 97 more; the model"
    ):
        Torchvision("resnet18", weights=str(tmp_path / "weights.pth"))


def test_checkpoint_of_something_else(state, tmp_path):
    with pytest.raises(UserError, match=r"not a state dict: epoch hold.*entry as a separate file"):
        load({"model": torch.zeros(1), "epoch": 3}, tmp_path)
    with pytest.raises(UserError, match="holds a list"):
        load([1, 2], tmp_path)


def test_files_that_cannot_be_loaded(state, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(Path("an object, which weights_only refuses"), file)
    with pytest.raises(UserError, match="weights_only=True"):
        Torchvision(ARCHITECTURE, weights=str(file))
    torch.save(state, file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        Torchvision(ARCHITECTURE, weights=str(file))
    for content in (b"", b"<html>not found</html>"):
        file.write_bytes(content)
        with pytest.raises(UserError, match="damaged"):
            Torchvision(ARCHITECTURE, weights=str(file))


def test_missing_file_or_unknown_name(tmp_path):
    with pytest.raises(UserError, match=r"no such file.*one of DEFAULT, IMAGENET1K_V1\."):
        Torchvision(ARCHITECTURE, weights=str(tmp_path / "absent.pth"))
    with pytest.raises(UserError, match="no such file"):
        Torchvision(ARCHITECTURE, weights=str(tmp_path))  # a folder


def test_a_misspelt_name_is_guessed():
    with pytest.raises(UserError, match=r"; did you mean IMAGENET1K_V1\?"):
        Torchvision(ARCHITECTURE, weights="imagenet1k_v3")


def test_torchvisions_names_use_its_cache(state, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = torchvision.models.get_model_weights(ARCHITECTURE).DEFAULT.url
    cached = tmp_path / "hub" / "checkpoints" / url.rsplit("/", 1)[1]
    cached.parent.mkdir(parents=True)
    torch.save(state, cached)
    for name in ("DEFAULT", "IMAGENET1K_V1"):
        assert_loaded(Torchvision(ARCHITECTURE, weights=name), state)


def test_default_without_network_says_what_to_do(tmp_path, monkeypatch):
    def unreachable(*_arguments, **_options):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    with pytest.raises(UserError, match=r"download https.*no network.*weights=<path"):
        Torchvision(ARCHITECTURE, weights="DEFAULT")


def test_real_squeezenet_weights():
    file = Path(os.environ.get("GAPFC_DATA", "data")) / "weights" / "squeezenet1_1.pth"
    if not file.is_file():
        pytest.skip("needs weights/squeezenet1_1.pth under the data root (set GAPFC_DATA)")
    backbone = Torchvision("squeezenet1_1", weights=str(file)).eval()
    weights = torch.load(file, weights_only=True)
    assert torch.equal(backbone.stage1.features_0.weight, weights["features.0.weight"])
    model = torchvision.models.squeezenet1_1(weights=None).eval()
    model.load_state_dict(weights)
    images = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), model.features(images))
