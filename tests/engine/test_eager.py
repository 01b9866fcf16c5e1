"""Optimisers without the compiler's decorators compute what torch's own do."""

import pytest
import torch
from torch import nn
from torch.optim import LBFGS, Optimizer

from gapfc.engine.eager import eager

KINDS = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "adam": (torch.optim.Adam, {"amsgrad": True}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.5}),
    "nadam": (torch.optim.NAdam, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "adagrad": (torch.optim.Adagrad, {}),
    "asgd": (torch.optim.ASGD, {}),
    "rprop": (torch.optim.Rprop, {}),
    "adafactor": (torch.optim.Adafactor, {}),
}


def trained(kind, options, steps=4, again=False):
    """Weights and state after some steps; again: with the state saved and loaded half-way."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    optimizer = kind([{"params": [p]} for p in model.parameters()], **options)
    for step in range(steps):
        if again and step == steps // 2:
            state, optimizer = optimizer.state_dict(), kind(model.parameters(), **options)
            optimizer = kind([{"params": [p]} for p in model.parameters()], **options)
            optimizer.load_state_dict(state)
        model(torch.randn(7, 5)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        assert all(p.grad is None for p in model.parameters())
    return [*model.parameters()], optimizer.state_dict()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("again", [False, True])
def test_the_same_to_the_bit(name, again):
    kind, options = KINDS[name]
    ours, state = trained(eager(kind), options, again=again)
    theirs, expected = trained(kind, options, again=again)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert state["param_groups"] == expected["param_groups"]
    for mine, other in zip(state["state"].values(), expected["state"].values(), strict=True):
        for key, value in other.items():
            assert torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(value)), key


def test_is_still_that_class():
    ours = eager(torch.optim.SGD)
    assert issubclass(ours, torch.optim.SGD)
    assert ours.__name__ == "SGD"
    assert "SGD (" in repr(ours([nn.Parameter(torch.ones(1))], lr=0.1))


def test_hooks_are_called():
    weight = nn.Parameter(torch.ones(2))
    optimizer = eager(torch.optim.SGD)([weight], lr=0.1)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    weight.sum().backward()
    optimizer.step()
    assert seen == ["before", "after"]


def test_no_graph_is_recorded_unless_it_is_asked_for():
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = eager(torch.optim.SGD)([weight], lr=0.1)
    optimizer.step(lambda: weight.square().sum())
    assert weight.grad_fn is None
    assert torch.is_grad_enabled()


def test_classes_of_others_are_left_alone():
    class Mine(Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

    class Faster(torch.optim.SGD):
        pass

    assert eager(Mine) is Mine
    assert eager(Faster) is Faster
    assert eager(LBFGS).__mro__[1] is LBFGS
