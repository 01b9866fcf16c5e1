"""Relative weight change, worked out by hand."""

import pytest
import torch
from torch import nn

from gapfc.measure.drift import Drift


def test_total_and_per_layer_by_hand():
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 0.0]]))
        model[0].bias.copy_(torch.tensor([4.0]))
        model[2].weight.fill_(12.0)
    drift = Drift(model)
    assert drift.total() == 0
    with torch.no_grad():
        model[0].weight += torch.tensor([[0.0, 3.0]])
        model[0].bias += 4.0
        model[2].weight -= 12.0
    assert drift.per_layer() == {"0": pytest.approx(5 / 5), "2": pytest.approx(12 / 12)}
    assert drift.total() == pytest.approx(1.0)
    with torch.no_grad():
        model[2].weight += 12.0
    assert drift.total() == pytest.approx(5 / 13)


def test_undefined_is_none():
    assert Drift(nn.ReLU()).total() is None
    assert Drift(nn.ReLU()).per_layer() == {}
    norm = nn.Linear(2, 2)
    nn.init.zeros_(norm.weight)
    nn.init.zeros_(norm.bias)
    assert Drift(norm).total() is None


def test_buffers_do_not_count():
    norm = nn.BatchNorm1d(4)
    drift = Drift(norm)
    norm(torch.randn(8, 4))
    assert drift.total() == 0


def test_does_not_follow_the_weights():
    layer = nn.Linear(3, 3)
    drift = Drift(layer)
    with torch.no_grad():
        for p in layer.parameters():
            p.mul_(1.5)
    assert drift.total() == pytest.approx(0.5)
    assert not any(p.grad is not None for p in layer.parameters())
