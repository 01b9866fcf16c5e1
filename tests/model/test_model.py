"""Backbone and head joined: paired weights, freezing, and what is refused."""

import logging

import pytest
import torch
from torch import nn

from gapfc.errors import UserError
from gapfc.model.build import build, feature_shape
from gapfc.model.classifier import Classifier

CONVNET = {
    "_target_": "gapfc.backbones.ConvNet",
    "name": "convnet",
    "widths": [4, 6, 8, 10],
    "batch_norm": True,
    "pool_after": [1, 2],
    "pool": {"kind": "max", "kernel_size": 2},
    "trainable": "all",
}
HEADS = {
    "fc": {"_target_": "gapfc.heads.FC", "hidden": [16], "dropout": 0.5},
    "gap": {"_target_": "gapfc.heads.GAP", "lr_multiplier": 3.0},
    "nin": {"_target_": "gapfc.heads.NIN"},
    "own_maps": {"_target_": "gapfc.heads.NIN", "conv": False},
    "sppf": {"_target_": "gapfc.heads.SPPF"},
}


def classifier(head="gap", seed=0, classes=5, size=(16, 12), **backbone):
    config = {"backbone": CONVNET | backbone, "head": HEADS[head]}
    return build(config, classes, size, seed)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("head", ["fc", "nin", "sppf"])
def test_two_heads_with_one_seed_share_the_backbone_weights(head):
    one, other = state(classifier("gap", 3).backbone), state(classifier(head, 3).backbone)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_gives_other_weights_everywhere():
    one, other = classifier("fc", 3), classifier("fc", 4)
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        constant = "norm" in name or torch.equal(a, a.flatten()[0].expand_as(a))
        assert constant or not torch.equal(a, b), name


def test_a_head_starts_the_same_whatever_the_backbone_drew():
    shallow = classifier("gap", 3).head.state_dict()
    torch.rand(100)
    deep = classifier("gap", 3, widths=[4, 6, 8, 8, 10]).head.state_dict()
    assert all(torch.equal(shallow[name], deep[name]) for name in shallow)


def test_build_leaves_the_random_state_to_the_seed_alone():
    classifier("fc", 3)
    after_fc = torch.rand(4)
    classifier("sppf", 3)
    assert torch.equal(torch.rand(4), after_fc)


def test_the_dry_forward_leaves_no_trace():
    backbone = nn.Sequential(nn.Conv2d(3, 7, 3, 2), nn.BatchNorm2d(7), nn.Dropout(0.5))
    backbone.train()
    before = state(backbone)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    assert feature_shape(backbone, (9, 21)) == (7, 4, 10)
    assert torch.equal(torch.rand(3), expected)
    assert backbone.training
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_the_random_state_survives_a_backbone_that_fails_in_the_dry_forward():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)

    class Broken(nn.Module):
        def forward(self, images):
            torch.rand(5)
            raise RuntimeError("broken")

    backbone = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        feature_shape(backbone, (8, 8))
    assert backbone.training
    assert torch.equal(torch.rand(3), expected)


def test_a_backbone_without_a_feature_map_is_refused():
    with pytest.raises(UserError, match=r"\[B, C, H, W\]; Flatten gave \[1, 192\]"):
        feature_shape(nn.Flatten(), (8, 8))


def test_the_forward_is_head_of_backbone():
    model = classifier("fc").eval()
    images = torch.randn(3, 3, 16, 12)
    assert torch.equal(model(images), model.head(model.backbone(images)))
    assert model(images).shape == (3, 5)


def train_a_step(model):
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    loss = nn.functional.cross_entropy(model(torch.randn(8, 3, 16, 12)), torch.arange(8) % 5)
    loss.backward()
    optimizer.step()


def moved(model):
    """Names of what a training step changes, batch-norm statistics among it."""
    before = state(model)
    train_a_step(model)
    return {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }


def test_all_of_the_backbone_is_trained():
    model = classifier(trainable="all")
    assert moved(model) == set(model.state_dict())


def test_none_of_the_backbone_is_trained_nor_its_statistics():
    model = classifier(trainable="none")
    assert moved(model) == {name for name in model.state_dict() if name.startswith("head.")}
    assert not any(module.training for module in model.backbone.modules())
    assert model.head.training


def test_only_the_last_stage_is_trained():
    model = classifier(trainable="last")
    last = f"backbone.{model.backbone.stages[-1]}."
    expected = {n for n in model.state_dict() if n.startswith((last, "head."))}
    assert expected < set(model.state_dict())
    assert any(name.startswith(last) for name in expected)
    assert moved(model) == expected


def test_what_is_frozen_stays_in_evaluation_mode():
    model = classifier(trainable="none")
    model.eval()
    assert not model.head.training
    model.train()
    assert model.training
    assert model.head.training
    assert not model.backbone.training


def test_freezing_nothing_of_a_plain_classifier_is_the_default():
    model = Classifier(nn.Conv2d(3, 4, 3), nn.Flatten())
    assert model.train().backbone.training


def test_trainable_takes_three_words():
    with pytest.raises(UserError, match=r"backbone.trainable takes all, none or last; got some"):
        classifier(trainable="some")


def test_nothing_to_train_is_an_error_before_training():
    frozen = {"trainable": "none", "widths": [4, 6, 8, 5]}
    with pytest.raises(
        UserError, match=r"Nothing would be trained.*backbone.trainable=all or last"
    ):
        classifier("own_maps", **frozen)
    trainable = classifier("own_maps", widths=[4, 6, 8, 5])
    assert not list(trainable.head.parameters())


def test_a_map_of_one_place_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "gapfc"):
        classifier(size=(16, 12))
        assert not caplog.records
        classifier(size=(4, 4))
    (record,) = caplog.records
    assert "1×1 at image size 4×4" in record.getMessage()
    assert "every head is fully connected" in record.getMessage()


def test_on_a_map_of_one_place_gap_is_the_linear_layer():
    model = classifier("gap", size=(4, 4)).eval()
    images = torch.randn(2, 3, 4, 4)
    linear = model.head.classifier[-1]
    torch.testing.assert_close(model(images), linear(model.backbone(images).flatten(1)))


def test_an_unknown_option_is_named():
    with pytest.raises(UserError, match="hiden"):
        build({"backbone": CONVNET, "head": HEADS["gap"] | {"hiden": [3]}}, 5, (16, 12))
