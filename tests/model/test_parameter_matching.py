"""Heads whose width is solved for a number of parameters: counted again by hand."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import nn

from gapfc.errors import UserError
from gapfc.heads import GAP, SPPF
from gapfc.heads.mlp import mlp as mlp_layers
from gapfc.model.build import build
from gapfc.model.parameter_matching import _nearest, match
from gapfc.settings.nodes import construct

SHAPE, CLASSES = (12, 4, 4), 10
C, CELLS, K = 12, 16, CLASSES


def node(name, **options):
    from importlib.resources import files

    text = files("gapfc.configs").joinpath(f"head/{name}.yaml").read_text()
    return OmegaConf.to_container(OmegaConf.create(text)) | options


def built(head):
    return construct(head, feature_shape=SHAPE, num_classes=CLASSES)


def size(module):
    return sum(p.numel() for p in module.parameters())


def mlp(width, n):
    """Parameters of width -> n -> K with biases."""
    return width * n + n + n * K + K


WIDTHS = {
    "fc": (C * CELLS, 0),
    "gap": (C, 0),
    "gmp": (C, 0),
    "gapgmp": (2 * C, 0),
    "gem": (C, 1),  # p is learned
    "lse": (C, 1),  # r is learned
    "attn": (4 * C, 4 * C),  # and so are the queries
    "spp": (C * 21, 0),
    "spp_fixed": (3 * C, 0),
}


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("target", [3_000, 20_000, 123_457])
def test_one_hidden_layer_is_as_near_as_any_width(name, target):
    head, found = match(node(name, parameters=target), SHAPE, CLASSES)
    width, others = WIDTHS[name]
    (n,) = head["hidden"]
    sizes = {i: mlp(width, i) + others for i in (n - 1, n, n + 1)}
    assert min(sizes, key=lambda i: abs(sizes[i] - target)) == n
    assert found.parameters == sizes[n] == size(built(head))
    assert found.target == target


@pytest.mark.parametrize("target", [1_000, 20_000, 123_457])
def test_sppf_is_matched_by_its_channels(target):
    head, found = match(node("sppf", parameters=target), SHAPE, CLASSES)
    hidden, out = head["hidden_channels"], head["out_channels"]
    assert found.parameters == C * hidden + hidden + 4 * hidden * out + out + out * K + K
    assert found.parameters == size(built(head))
    assert abs(found.parameters - target) <= (4 * hidden + 1 + K) / 2
    assert 1.5 < out / hidden < 2.5


def test_as_large_as_another_head_on_the_same_features():
    head, found = match(node("gap", match_parameters_of="fc"), SHAPE, CLASSES)
    assert found.target == size(built(node("fc"))) == mlp(C * CELLS, 512)
    assert abs(size(built(head)) - found.target) <= (C + 1 + K) / 2
    for same in ("gap", "gmp", "nin"):
        head, found = match(node(same, match_parameters_of="gap"), SHAPE, CLASSES)
        assert size(built(head)) == found.target == C * K + K
        assert "exactly" in str(found)


def test_several_hidden_layers_get_one_width():
    head, found = match(node("gap", parameters=50_000, hidden=[64, 32]), SHAPE, CLASSES)
    n, m = head["hidden"]
    assert n == m
    assert found.parameters == C * n + n + n * n + n + n * K + K == size(built(head))


def test_nothing_asked_nothing_changed():
    head, found = match(node("spp"), SHAPE, CLASSES)
    assert found is None
    assert head == {k: v for k, v in node("spp").items() if "parameters" not in k}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("fc", {"match_parameters_of": "gap"}, "nearest is 213, at head.hidden=[1]"),
        ("nin", {"parameters": 5000}, "has no width to solve for; it has 130 parameters"),
        ("gap", {"parameters": 0}, "whole number of at least 1; got 0"),
        ("gap", {"parameters": "many"}, "got many"),
        ("gap", {"parameters": True}, "got true"),
        (
            "gap",
            {"match_parameters_of": "gapp"},
            "takes attn, fc, gap, gapgmp, gem, gmp, lse",
        ),
        ("gap", {"match_parameters_of": "fc", "parameters": 9}, "set one of the two"),
    ],
)
def test_what_cannot_be_is_said(name, options, words):
    with pytest.raises(UserError) as error:
        match(node(name, **options), SHAPE, CLASSES)
    assert words in str(error.value)


class OwnHidden(nn.Module):
    """Says nothing of its widths, but takes hidden layers as gapfc's heads do."""

    def __init__(self, feature_shape, num_classes, hidden=(7,)):
        super().__init__()
        self.layers = mlp_layers(feature_shape[0], hidden, num_classes)


class OwnChannels(nn.Module):
    def __init__(self, feature_shape, num_classes, hidden_channels=1, out_channels=1):
        super().__init__()
        self.layers = SPPF(feature_shape, num_classes, hidden_channels, out_channels)


class OwnWidths(nn.Module):
    def __init__(self, feature_shape, num_classes, neurons=1):
        super().__init__()
        self.layers = mlp_layers(feature_shape[0], [neurons], num_classes)

    @staticmethod
    def widths(options):
        return [lambda n: {"neurons": n}]


class FixedHidden(GAP):
    """Inherits what GAP says of widths, but does not take the option."""

    def __init__(self, feature_shape, num_classes):
        super().__init__(feature_shape, num_classes, hidden=(3,))


@pytest.mark.parametrize(
    ("head", "solved"),
    [
        (OwnHidden, {"hidden": [43]}),
        (OwnChannels, {"hidden_channels": 9, "out_channels": 19}),
        (OwnWidths, {"neurons": 43}),
    ],
)
def test_a_head_of_ones_own_is_matched(head, solved):
    own = {"name": "own", "_target_": f"{__name__}.{head.__name__}", "parameters": 999}
    found, reached = match(own, SHAPE, CLASSES)
    assert {key: found[key] for key in solved} == solved == reached.options
    assert reached.parameters == size(built(found))


def test_a_head_without_a_width_says_which_heads_have_one():
    own = {"name": "own", "_target_": f"{__name__}.FixedHidden", "parameters": 999}
    with pytest.raises(UserError, match=r"no width.*one: attn, fc, gap, .*, spp_fixed, sppf\."):
        match(own, SHAPE, CLASSES)


@settings(max_examples=60, deadline=None)
@given(
    a=st.integers(0, 3), b=st.integers(1, 50), c=st.integers(0, 99), target=st.integers(1, 10**6)
)
def test_nearest_is_the_nearest(a, b, c, target):
    def count(n):
        return a * n * n + b * n + c

    n = _nearest(count, target)
    assert n >= 1
    offs = [abs(count(m) - target) for m in (n - 1, n, n + 1) if m >= 1]
    assert abs(count(n) - target) == min(offs)


def test_the_backbone_starts_as_without_and_random_numbers_are_not_spent():
    config = {
        "backbone": {"_target_": "gapfc.backbones.ConvNet", "widths": [4, 4, 4, 4]},
        "head": node("gap", hidden=[37]),
    }
    plain = build(config, CLASSES, (32, 32), seed=3)
    target = size(plain.head)
    config["head"] = node("gap", parameters=target)
    solved = build(config, CLASSES, (32, 32), seed=3)
    assert solved.match.parameters == target
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, solved.state_dict()[name]), name


@pytest.mark.slow
def test_a_run_says_how_near_it_came(gapfc):
    done = gapfc(
        "train",
        "head=gap",
        "head.parameters=1000",
        "backbone.widths=[8,8,8,8]",
        "dataset.train_limit=40",
        "dataset.test_limit=20",
        "trainer.epochs=1",
    )
    assert done.returncode == 0, done.stderr
    (file,) = gapfc.folder.rglob("results.json")
    parameters = json.loads(file.read_text())["parameters"]
    assert parameters["head_target"] == 1000
    assert parameters["head"] == mlp(8, 52) == 998
    assert "head.parameters=1000: 0.20% below the 1,000 asked for (head.hidden=[52])" in done.stdout
    assert "0.20% below" in (file.parent / "run.log").read_text()
