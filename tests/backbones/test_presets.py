"""Every backbone YAML builds a backbone as the others expect it."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "backbone").glob("*.yaml"))


def build(path: Path) -> nn.Module:
    node = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    if "timm" in node["_target_"]:
        pytest.importorskip("timm", reason="needs timm: gapfc[timm]")
    own = {"torchvision": "resnet18", "timm": "resnet10t"}
    assert node.pop("name") == own.get(path.stem, path.stem)
    assert node.pop("trainable") == "all"
    assert node.pop("layer_decay") == 1.0
    torch.manual_seed(0)
    return instantiate(node)


def test_the_presets_are_there():
    names = "alexnet convnet convnext_tiny densenet121 efficientnet_b0 mobilenet_v3_small nin "
    names += "resnet18 resnet50 resnet_cifar shufflenet_v2_x1_0 squeezenet1_1 torchvision vgg16_bn"
    assert {path.stem for path in CONFIGS} >= set(names.split())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_key_has_a_comment(path):
    for line in path.read_text().splitlines():
        key = line.split(":")[0].strip()
        assert line.startswith("#") or key in ("name", "_target_", "pool") or " # " in line, line


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    # Transformers take multiples of their patches; tests/backbones/test_timm.py has them.
    [path for path in CONFIGS if not path.stem.startswith("dino")],
    ids=lambda path: path.stem,
)
def test_forward_backward_and_stages(path):
    backbone = build(path)
    captured = {}
    for name in backbone.stages:
        backbone.get_submodule(name).register_forward_hook(
            lambda _module, _input, output, name=name: captured.__setitem__(
                name, (output, output.detach().clone())
            )
        )
    channels = set()
    for height, width in [(64, 96), (64, 64)]:
        backbone.zero_grad()
        captured.clear()
        features = backbone(torch.randn(2, 3, height, width))
        features.square().mean().backward()
        batch, count, rows, columns = features.shape
        assert batch == 2
        assert rows >= 1
        assert (columns > rows) == (width > height)
        channels.add(count)
        for name, parameter in backbone.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        assert any(parameter.grad.any() for parameter in backbone.parameters())

        assert tuple(captured) == backbone.stages  # each ran once, in order
        assert captured[backbone.stages[-1]][0] is features
        sizes = [output.shape[2] * output.shape[3] for output, _ in captured.values()]
        assert sizes == sorted(sizes, reverse=True)
        for output, copy in captured.values():
            assert torch.equal(output, copy)  # no later layer wrote over it
    assert len(channels) == 1
    assert list(backbone.get_submodule(backbone.stages[-1]).parameters())  # trainable=last
