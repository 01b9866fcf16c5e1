"""Rates per stage: base × decay^(stages after it)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gapfc.backbones import ConvNet
from gapfc.backbones.stages import Stages
from gapfc.engine.layer_decay import layer_factors
from gapfc.engine.optimizer import build_optimizer, set_learning_rate
from gapfc.errors import UserError
from gapfc.heads import GAP
from gapfc.model.build import build
from gapfc.model.classifier import Classifier

SGD = {"_target_": "torch.optim.SGD", "name": "sgd", "lr": 0.1, "weight_decay": 0.01}


def net(widths=(4, 5, 6)):
    return Classifier(ConvNet(widths, pool_after=(1,)), GAP((widths[-1], 4, 4), 3))


def rates(model, optimizer):
    """Parameter name -> learning rate."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}


@given(st.floats(0.01, 0.99), st.floats(0, 50), st.integers(1, 5))
def test_the_closed_form(decay, multiplier, stages):
    model = net((4,) * stages)
    optimizer = build_optimizer(model, SGD, {"head": multiplier}, decay)
    for name, rate in rates(model, optimizer).items():
        part, stage = name.split(".")[:2]
        after = stages - int(stage.removeprefix("stage")) if part == "backbone" else 0
        expected = 0.1 * (decay**after if part == "backbone" else multiplier)
        assert rate == pytest.approx(expected, rel=1e-12), name


def test_a_decay_of_1_changes_nothing():
    """Groups, their order and their rates: checkpoints of before are continued from."""
    model = net()
    plain, one = (build_optimizer(model, SGD, {"head": 3.0}, *decay) for decay in ((), (1.0,)))
    assert plain.state_dict() == one.state_dict()
    assert [len(group["params"]) for group in plain.param_groups] == [3, 6, 1, 1]
    assert [group["lr"] for group in plain.param_groups] == [0.1, 0.1, 0.1 * 3.0, 0.1 * 3.0]


def test_vectors_are_not_decayed_and_the_schedule_scales_all_rates():
    model = net()
    optimizer = build_optimizer(model, SGD, {}, 0.5)
    assert all(
        (group["weight_decay"] > 0) == all(p.ndim > 1 for p in group["params"])
        for group in optimizer.param_groups
    )
    # The recorded rate is that of the last stage, whatever the decay.
    assert set_learning_rate(optimizer, 0.1) == pytest.approx(0.01)
    assert sorted({round(group["lr"], 9) for group in optimizer.param_groups}) == [
        0.0025,
        0.005,
        0.01,
    ]


@pytest.mark.parametrize(("trainable", "names"), [("last", {"stage3"}), ("none", set())])
def test_what_is_frozen_is_in_no_group(trainable, names):
    config = {
        "backbone": {
            "_target_": "gapfc.backbones.ConvNet",
            "widths": [4, 5, 6],
            "pool_after": [1],
            "trainable": trainable,
            "layer_decay": 0.5,
        },
        "head": {"_target_": "gapfc.heads.GAP"},
    }
    model = build(config, 3, (8, 8))
    found = rates(model, build_optimizer(model, SGD, {}, 0.5))
    assert {name.split(".")[1] for name in found if name.startswith("backbone")} == names
    assert set(found.values()) == {0.1}


def test_what_lies_outside_the_stages_counts_with_what_stands_before_it():
    backbone = Stages("own", {"stem": nn.Conv2d(3, 4, 1), "one": nn.Conv2d(4, 4, 1)})
    backbone.add_module("norm", nn.BatchNorm2d(4))
    backbone.stages = ("one",)
    factors = layer_factors(backbone, 0.5)
    found = {name: factors[id(p)] for name, p in backbone.named_parameters()}
    assert {name.split(".")[0]: factor for name, factor in found.items()} == {
        "stem": 0.5,
        "one": 1.0,
        "norm": 1.0,
    }


def test_a_stage_inside_a_module_is_found_by_its_dotted_name():
    inner = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    backbone = Stages("own", {"body": inner})
    backbone.stages = ("body.0", "body.1")
    assert list(layer_factors(backbone, 0.1).values()) == [0.1, 0.1, 1.0, 1.0]


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.5, float("nan"), "0.5", True])
def test_other_values_are_refused(decay):
    with pytest.raises(UserError, match=r"layer_decay takes a number above 0 and of at most 1"):
        layer_factors(net().backbone, decay)


def test_a_backbone_without_stages_is_refused_in_words():
    assert layer_factors(nn.Conv2d(3, 4, 1), 1.0) == {}
    with pytest.raises(UserError, match="Conv2d does not name its stages"):
        layer_factors(nn.Conv2d(3, 4, 1), 0.5)


def test_a_step_moves_each_stage_by_its_own_rate():
    """Plain SGD from equal gradients: the step is the rate."""
    model = net()
    optimizer = build_optimizer(model, SGD | {"weight_decay": 0.0}, {"head": 2.0}, 0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        expected = {"stage1": 0.025, "stage2": 0.05, "stage3": 0.1, "classifier": 0.2}
        step = (before[name] - parameter.detach()).mean().item()
        assert step == pytest.approx(expected[name.split(".")[1]], rel=1e-4), name
