"""Every optimiser of torch trains a network of convolutions, or says why it cannot."""

import pytest
import torch
from torch import nn

from gapfc.engine.optimizer import CANNOT, build_optimizer
from gapfc.engine.stored_state import check_optimizer
from gapfc.engine.trial import trial_step
from gapfc.errors import UserError
from gapfc.heads import GAP
from gapfc.model.classifier import Classifier

ALL = sorted(
    name
    for name, found in vars(torch.optim).items()
    if isinstance(found, type) and issubclass(found, torch.optim.Optimizer)
)
WORK = {
    "ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam",
    "RMSprop", "Rprop", "SGD",
}  # fmt: skip
REASONS = {
    "LBFGS": "evaluates the loss several times per step",
    "Muon": "convolution kernels have 4",
    "Optimizer": "what optimisers are derived from",
    "SparseAdam": "those of convolutions and linear layers are dense",
}


def model():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return Classifier(backbone, GAP((4, 6, 6), 3))


def test_the_table_has_every_class_of_this_torch():
    """A new torch brings new ones: try them, and put them into WORK, or into CANNOT."""
    assert set(ALL) <= WORK | set(REASONS)
    assert CANNOT.keys() == REASONS.keys()


@pytest.mark.parametrize("name", ALL)
def test_it_learns_or_a_line_says_why_not(name):
    options = {"_target_": f"torch.optim.{name}", "name": "custom", "lr": 1e-3}
    net = model()
    if name not in WORK:
        with pytest.raises(UserError, match=REASONS[name]) as refused:
            build_optimizer(net, options, {})
        assert str(refused.value).startswith(f"optimizer._target_=torch.optim.{name} ")
        assert " Take " in str(refused.value)
        assert "\n" not in str(refused.value)
        return
    optimizer = build_optimizer(net, options, {})
    images, labels = torch.randn(12, 3, 8, 8), torch.arange(12) % 3
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    # And its state is found to be that of such an optimiser.
    assert check_optimizer(optimizer.state_dict(), build_optimizer(model(), options, {})) == ("lr",)


class Grumpy(torch.optim.SGD):
    """Has an attribute of its own, and steps that fail."""

    def __init__(self, parameters, lr, why="it is Monday"):
        super().__init__(parameters, lr)
        self.why = why

    def step(self, closure=None):
        raise RuntimeError(f"{self.why}\nmore")


def test_an_optimizer_of_ones_own_that_cannot_step_is_refused_before_training(monkeypatch):
    monkeypatch.setattr(torch, "Grumpy", Grumpy, raising=False)
    with pytest.raises(UserError, match=r"torch\.Grumpy cannot take a step here: it is Monday\. "):
        build_optimizer(model(), {"_target_": "torch.Grumpy", "lr": 0.1}, {})


def test_a_trial_step_leaves_the_optimizer_alone():
    net = model()
    optimizer = build_optimizer(net, {"_target_": "torch.optim.Adam", "lr": 0.1}, {})
    before = {name: value.clone() for name, value in net.state_dict().items()}
    states, counts = trial_step(optimizer)
    assert [sorted(state) for state in states] == [["exp_avg", "exp_avg_sq", "step"]] * len(
        list(net.parameters())
    )
    assert counts == {}
    assert not optimizer.state
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
