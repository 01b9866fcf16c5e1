"""Optimisers with train() and eval(): steps at one point, evaluation and checkpoints at another."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gapfc.engine.batch_norm import recalibrate
from gapfc.engine.device import choose_precision
from gapfc.engine.fit import Fit
from gapfc.engine.modes import has_modes, set_mode
from gapfc.engine.optimizer import build_optimizer
from gapfc.engine.schedule import Constant
from gapfc.engine.settings import Settings
from gapfc.engine.training import Training, averaged
from gapfc.errors import UserError
from gapfc.heads import GAP
from gapfc.model.classifier import Classifier
from gapfc.system.interruption import Interrupted

pytest.importorskip("schedulefree", reason="needs the package schedulefree")
FP32 = choose_precision("fp32", torch.device("cpu"))
ADAMW = {"_target_": "schedulefree.AdamWScheduleFree", "name": "custom", "lr": 0.02}
ALL = [
    "schedulefree.AdamWScheduleFree", "schedulefree.RAdamScheduleFree",
    "schedulefree.SGDScheduleFree",
]  # fmt: skip


class Batches:
    """Five batches of eight noisy images."""

    steps = 5
    weight = 1.0

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.labels = torch.arange(40) % 3
        self.images = torch.randn(40, 3, 6, 6, generator=generator)
        self.images += self.labels[:, None, None, None]

    def epoch(self, epoch, start=0):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(epoch))
        for index in range(start, self.steps):
            chosen = order[8 * index : 8 * index + 8]
            yield self.images[chosen], self.labels[chosen]


class Silence:
    def batch(self, epoch, done, total):
        pass

    def sample(self, step, scalars):
        pass

    def epoch(self, row, improved):
        pass


def training(options=ADAMW, norm=True, ema=None):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.ReLU()]
    net = Classifier(nn.Sequential(*layers, nn.Dropout(0.2 if norm else 0.0)), GAP((4, 4, 4), 3))
    optimizer = build_optimizer(net, options, {"head": 2.0})
    return Training(net, optimizer, Constant(), FP32.scaler(), averaged(net, ema))


def weights(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def run(state, epochs=3, stop_after=None, stop_in_validation=None, seen=None, kept=None):
    batches, steps = Batches(), 0

    def check():
        nonlocal steps
        steps += 1
        if steps == stop_after:
            raise Interrupted(2)

    def measure(net):
        if state.progress.epoch == stop_in_validation:
            raise Interrupted(2)
        if seen is not None:
            seen.append(weights(net))
        net.eval()
        with torch.no_grad():
            logits = net(batches.images)
        net.train()
        right = (logits.argmax(1) == batches.labels).float().mean().item()
        return {"val_accuracy": right, "val_loss": F.cross_entropy(logits, batches.labels).item()}

    def save(improved, final):
        if kept is not None:
            kept.append((weights(state.evaluated), copy.deepcopy(state.state_dict())))

    Fit(state, batches, measure, Settings(epochs, FP32), Silence(), save, check).run()
    return state


def equal(some, others):
    return some.keys() == others.keys() and all(torch.equal(some[n], others[n]) for n in some)


def test_evaluated_weights_are_the_average_of_the_paper():
    """Defazio et al. 2024, eqs. 2-4, by hand: z steps, x averages it, gradients are taken at y."""
    rate, beta = 0.1, 0.9
    options = {"_target_": "schedulefree.SGDScheduleFree", "lr": rate, "momentum": beta}
    state, seen = training(options, norm=False), []
    net, batches = copy.deepcopy(state.model).double(), Batches()
    run(state, seen=seen)
    names = [name for name, _ in net.named_parameters()]
    rates = {name: rate * (2 if name.startswith("head") else 1) for name in names}
    z = {name: p.detach().clone() for name, p in net.named_parameters()}
    x = {name: p.detach().clone() for name, p in net.named_parameters()}
    step = 0
    for epoch in range(3):
        for images, labels in batches.epoch(epoch):
            step += 1
            with torch.no_grad():
                for name, parameter in net.named_parameters():
                    parameter.copy_((1 - beta) * z[name] + beta * x[name])
            net.zero_grad()
            F.cross_entropy(net(images.double()), labels).backward()
            for name, parameter in net.named_parameters():
                z[name] = z[name] - rates[name] * parameter.grad
                x[name] = x[name] + (z[name] - x[name]) / step
        for name in names:
            torch.testing.assert_close(seen[epoch][name].double(), x[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", ALL)
def test_what_is_measured_is_what_best_pt_holds(target):
    state, seen, kept = training(ADAMW | {"_target_": target}), [], []
    run(state, seen=seen, kept=kept)
    assert all(equal(a, b) for a, (b, _) in zip(seen, kept, strict=True))
    assert not any(group["train_mode"] for group in state.optimizer.param_groups)
    assert equal(weights(state.model), seen[-1])
    set_mode(state.optimizer, stepping=True)
    assert not equal(weights(state.model), seen[-1])  # steps are taken elsewhere


@pytest.mark.parametrize("target", ALL)
@pytest.mark.parametrize("stop", [{"stop_after": n} for n in (1, 4, 6, 7, 12)] + [
    {"stop_in_validation": n} for n in (0, 2)
])  # fmt: skip
def test_interrupted_and_resumed_equals_uninterrupted(target, stop):
    """Also where the interruption falls between the last step of an epoch and its validation."""
    options = ADAMW | {"_target_": target}
    whole, expected = training(options), []
    run(whole, seen=expected)
    first, seen = training(options), []
    with pytest.raises(Interrupted):
        run(first, **stop, seen=seen)
    stored = copy.deepcopy(first.state_dict())
    second = training(options)
    second.load_state_dict(stored)
    run(second, seen=seen)
    assert len(seen) == 3
    assert all(equal(a, b) for a, b in zip(seen, expected, strict=True))
    assert equal(weights(second.model), weights(whole.model))
    assert [row["val_loss"] for row in second.progress.history] == [
        row["val_loss"] for row in whole.progress.history
    ]


def test_resumed_from_the_checkpoint_of_an_epoch_equals_uninterrupted():
    whole, kept = training(), []
    run(whole, kept=kept)
    for epoch in (1, 2):
        again = training()
        again.load_state_dict(copy.deepcopy(kept[epoch - 1][1]))
        run(again)
        assert equal(weights(again.model), weights(whole.model))


@pytest.mark.parametrize(
    ("name", "value"),
    [("k", -1), ("k", "1"), ("k", None), ("weight_sum", float("nan")), ("train_mode", 1)],
)
def test_a_damaged_count_is_refused(name, value):
    state = copy.deepcopy(run(training(), epochs=1).state_dict())
    state["optimizer"]["param_groups"][1][name] = value
    with pytest.raises(UserError, match=rf"optimizer\.param_groups\.1\.{name} was expected"):
        training().load_state_dict(state)


def test_a_strangers_settings_are_not_taken_over():
    state = copy.deepcopy(run(training(), epochs=1).state_dict())
    for group in state["optimizer"]["param_groups"]:
        group["base_lr"], group["warmup_steps"] = 99.0, 7
    ours = training()
    ours.load_state_dict(state)
    assert [group["base_lr"] for group in ours.optimizer.param_groups] == [0.02] * 2 + [0.04] * 2
    assert {group["warmup_steps"] for group in ours.optimizer.param_groups} == {0}
    assert {group["k"] for group in ours.optimizer.param_groups} == {5}


def test_an_average_of_an_average_is_refused():
    with pytest.raises(UserError, match=r"trainer\.ema: AdamWScheduleFree evaluates an average"):
        training(ema=0.9)


def test_torch_has_one_mode():
    optimizer = build_optimizer(training().model, {"_target_": "torch.optim.SGD", "lr": 0.1}, {})
    assert not has_modes(optimizer)
    set_mode(optimizer, stepping=True)


def test_statistics_are_those_of_the_weights_that_are_evaluated():
    """Mean and variance over the batches, at the average; what is frozen keeps its own."""
    state, seen = training(), []
    run(state, epochs=1, seen=seen)
    convolution = copy.deepcopy(state.model.backbone[0])
    convolution.load_state_dict(
        {name: seen[0][f"backbone.0.{name}"] for name in ("weight", "bias")}
    )
    with torch.no_grad():
        maps = [convolution(images) for images, _ in Batches().epoch(0)]
    mean = torch.stack([each.mean((0, 2, 3)) for each in maps]).mean(0)
    variance = torch.stack([each.var((0, 2, 3)) for each in maps]).mean(0)
    torch.testing.assert_close(seen[0]["backbone.1.running_mean"], mean)
    torch.testing.assert_close(seen[0]["backbone.1.running_var"], variance)
    assert state.model.backbone[1].momentum == 0.1


def test_frozen_statistics_stay_and_nothing_is_read_without_others():
    state = training()
    state.model.freeze([state.model.backbone])
    before = weights(state.model)

    def batches():
        pytest.fail("read")
        yield

    recalibrate(state.model, batches(), FP32)
    assert equal(weights(state.model), before)
    assert state.model.training
    assert not state.model.backbone.training


def test_momenta_come_back_when_it_is_interrupted():
    state = training()

    def batches():
        yield Batches().images[:8]
        raise Interrupted(2)

    with pytest.raises(Interrupted):
        recalibrate(state.model, batches(), FP32)
    assert state.model.backbone[1].momentum == 0.1
