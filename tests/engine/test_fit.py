"""The loop: against a hand-written one, interrupted and resumed, diverging, with all options."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gapfc.engine.device import choose_precision
from gapfc.engine.fit import Fit
from gapfc.engine.losses import Diverged
from gapfc.engine.mixing import Mixing
from gapfc.engine.optimizer import build_optimizer
from gapfc.engine.schedule import Cosine, Plateau
from gapfc.engine.settings import Settings
from gapfc.engine.training import Training, averaged
from gapfc.errors import UserError
from gapfc.heads import FC, GAP, NIN
from gapfc.model.classifier import Classifier
from gapfc.system.interruption import Interrupted

FP32 = choose_precision("fp32", torch.device("cpu"))


class Batches:
    """Six batches of eight noisy images, in an order that depends on the epoch."""

    steps = 6
    weight = 1.0

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.labels = torch.arange(48) % 3
        self.images = torch.randn(48, 3, 6, 6, generator=generator)
        self.images += self.labels[:, None, None, None]

    def epoch(self, epoch, start=0):
        order = torch.randperm(48, generator=torch.Generator().manual_seed(epoch))
        for index in range(start, self.steps):
            chosen = order[8 * index : 8 * index + 8]
            yield self.images[chosen], self.labels[chosen]


class Silence:
    def __init__(self):
        self.rows, self.batches, self.samples = [], [], []

    def batch(self, epoch, done, total):
        self.batches.append((epoch, done, total))

    def sample(self, step, scalars):
        self.samples.append((step, scalars))

    def epoch(self, row, improved):
        self.rows.append(row | {"improved": improved})


def model():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2))
    return Classifier(backbone, GAP((4, 4, 4), 3))


def training(ema=None, schedule=None):
    net = model()
    options = {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    return Training(
        net,
        build_optimizer(net, options, {}),
        schedule or Cosine(warmup_epochs=1),
        FP32.scaler(),
        averaged(net, ema),
    )


def accuracy(batches):
    def measure(net):
        net.eval()
        with torch.no_grad():
            right = (net(batches.images).argmax(1) == batches.labels).float().mean().item()
        return {"val_accuracy": right, "val_loss": 1 - right}

    return measure


def run(state, settings, stop_after=None, listener=None, measure=None, save=lambda *told: None):
    batches, steps = Batches(), 0

    def check():
        nonlocal steps
        steps += 1
        if steps == stop_after:
            raise Interrupted(2)

    listener = listener or Silence()
    Fit(state, batches, measure or accuracy(batches), settings, listener, save, check).run()
    return listener


def weights(state):
    return torch.cat([p.detach().flatten() for p in state.model.parameters()])


def seed_batch(epoch, index):
    """As `fit` does before it of seed 0."""
    seeds = np.random.SeedSequence((0, epoch)).generate_state(index + 1, np.uint64)
    torch.manual_seed(int(seeds[index]))


def test_equals_a_loop_written_by_hand():
    ours = training()
    listener = run(ours, Settings(epochs=3, precision=FP32))

    theirs, batches = training(), Batches()
    net, optimizer, schedule = theirs.model, theirs.optimizer, theirs.schedule
    losses = []
    for epoch in range(3):
        net.train()
        losses.append([])
        for index, (images, labels) in enumerate(batches.epoch(epoch)):
            for group in optimizer.param_groups:
                group["lr"] = 0.1 * schedule.factor(epoch + (index + 0.5) / 6, 3)
            seed_batch(epoch, index)
            loss = F.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert torch.equal(weights(ours), weights(theirs))
    assert [r["train_loss"] for r in listener.rows] == pytest.approx([sum(e) / 6 for e in losses])
    assert [r["step"] for r in listener.rows] == [6, 12, 18]
    assert listener.batches[-1] == (2, 6, 6)
    assert ours.progress.images == 3 * 48


def test_seconds_are_those_of_the_clock_which_may_stand_still():
    now = waited = 0.0

    def check():  # an hour for another run, and a second of its own
        nonlocal now, waited
        now += 3601
        waited += 3600

    state = training()
    settings = Settings(epochs=2, precision=FP32)
    batches = Batches()
    Fit(
        state, batches, accuracy(batches), settings, Silence(),
        check=check, clock=lambda: now - waited,
    ).run()  # fmt: skip
    # The second of an epoch's last step is after what counts.
    assert state.progress.seconds == 2 * 5
    assert state.progress.history[-1]["images_per_second"] == 96 / 10


DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("accumulate", [1, 4])
def test_dropout_in_the_backbone_is_the_same_under_every_head(device, accumulate):
    """Though one draws for dropout of its own, another for its weights, and a third not at all."""

    def masks(head, seed=0):
        state = training()
        net = state.model
        net.head = head()
        net.to(device)
        state.optimizer.param_groups[0]["params"] = list(net.parameters())
        dropped = []

        def keep(module, given, made):
            if module.training:
                dropped.append(made == 0)

        dropout = net.backbone[-1]
        # Before it, so that a zero is a dropped one; the weights under it differ with the head.
        dropout.register_forward_pre_hook(lambda module, given: torch.ones_like(given[0]))
        dropout.register_forward_hook(keep)
        batches = Batches()
        batches.images, batches.labels = batches.images.to(device), batches.labels.to(device)
        settings = Settings(epochs=2, precision=FP32, accumulate=accumulate, seed=seed)
        Fit(state, batches, accuracy(batches), settings, Silence()).run()
        return torch.stack(dropped).cpu()

    expected = masks(lambda: GAP((4, 4, 4), 3))
    assert expected.shape == (12, 8, 4, 4, 4)
    assert 0.1 < expected.float().mean() < 0.3
    assert len({mask.numpy().tobytes() for mask in expected}) == 12
    assert torch.equal(masks(lambda: FC((4, 4, 4), 3, hidden=[8], dropout=0.5)), expected)
    assert torch.equal(masks(lambda: NIN((4, 4, 4), 3, dropout=0.3)), expected)
    assert not torch.equal(masks(lambda: GAP((4, 4, 4), 3), seed=1), expected)


@pytest.mark.parametrize("accumulate", [1, 4])
def test_no_step_is_wasted_at_rate_zero(accumulate, monkeypatch):
    """Neither the first of a warm-up nor the last of a cosine, also where an epoch ends early."""
    monkeypatch.setattr("gapfc.engine.fit.CLOSEST", 1)  # every step is sampled
    listener = run(training(), Settings(epochs=2, precision=FP32, accumulate=accumulate))
    rates = [scalars["lr"] for _, scalars in listener.samples]
    if accumulate == 1:
        warm = [0.1 * (i + 0.5) / 6 for i in range(6)]
        cool = [0.05 * (1 + math.cos(math.pi * (i + 0.5) / 6)) for i in range(6)]
    else:  # an epoch of six batches is a step of four and one of two
        warm = [0.1 * 2 / 6, 0.1 * 5 / 6]
        cool = [0.05 * (1 + math.cos(math.pi * done / 6)) for done in (2, 5)]
    assert rates == pytest.approx(warm + cool)


@pytest.mark.parametrize("stop_after", [1, 4, 6, 9, 17])
@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"schedule": Plateau}])
def test_interrupted_and_resumed_equals_uninterrupted(stop_after, options):
    def fresh():
        made = {k: v(patience=0) if k == "schedule" else v for k, v in options.items()}
        return training(**made)

    settings = Settings(epochs=3, precision=FP32, mixing=Mixing(mixup=0.5), accumulate=1)
    whole = fresh()
    expected = run(whole, settings)

    first, partial = fresh(), Silence()
    with pytest.raises(Interrupted):
        run(first, settings, stop_after, partial)
    state = first.state_dict()
    torch.manual_seed(99)
    second = fresh()
    torch.manual_seed(99)
    second.load_state_dict(state)
    rest = run(second, settings)

    assert torch.equal(weights(second), weights(whole))
    untimed = [
        {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")}
        for row in (partial.rows + rest.rows)
    ]
    for row, reference in zip(untimed, expected.rows, strict=True):
        assert row == {k: reference[k] for k in row}
    if whole.ema is not None:
        for a, b in zip(whole.ema.parameters(), second.ema.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("given", [None, torch.tensor([0.2, 2.0, 5.0])])
def test_accumulated_gradients_equal_those_of_the_large_batch(given):
    class Twice(Batches):
        def epoch(self, epoch, start=0):
            for images, labels in Batches().epoch(epoch):
                yield images[:4], labels[:4]
                yield images[4:], labels[4:]

        steps = 12

    def without_noise():
        state = training()
        state.model.backbone[1] = nn.Identity()
        state.model.backbone[3] = nn.Identity()
        state.optimizer = build_optimizer(
            state.model, {"_target_": "torch.optim.SGD", "lr": 0.1}, {}
        )
        return state

    large, small = without_noise(), without_noise()
    for state, batches, accumulate in ((large, Batches(), 1), (small, Twice(), 2)):
        settings = Settings(1, FP32, accumulate=accumulate)
        Fit(state, batches, accuracy(batches), settings, Silence(), class_weights=given).run()
    assert small.progress.step == large.progress.step == 6
    torch.testing.assert_close(weights(small), weights(large))


def test_clipping_bounds_the_step():
    state = training()
    before = weights(state)
    state.schedule = Cosine(final=1.0)
    batches = Batches()
    batches.steps = 1
    Fit(state, batches, accuracy(batches), Settings(1, FP32, clip_norm=1e-3), Silence()).run()
    decay = 0.1 * 0.01 * before.norm()
    assert 0 < (weights(state) - before).norm() <= 0.1 * 1e-3 + decay + 1e-6


def test_label_smoothing_changes_the_loss_as_its_formula_says():
    state, listener = training(), Silence()
    state.schedule = Cosine(warmup_epochs=1e15)  # nothing moves but the batch norm
    batches = Batches()
    batches.steps = 1
    Fit(state, batches, accuracy(batches), Settings(1, FP32, label_smoothing=0.3), listener).run()
    net = training().model.train()
    seed_batch(0, 0)
    images, labels = next(batches.epoch(0))
    log_p = net(images).log_softmax(1)
    own = -log_p.gather(1, labels[:, None]).mean()
    expected = 0.7 * own + 0.3 * -log_p.mean()
    assert listener.rows[0]["train_loss"] == pytest.approx(expected.item(), rel=1e-5)


def first_loss(class_weights, **options):
    """The training loss of the first batch, of mixed images too, and what gave it."""
    state, listener, batches = training(), Silence(), Batches()
    state.schedule = Cosine(warmup_epochs=1e15)  # nothing moves but the batch norm
    batches.steps = options.pop("steps", 1)
    settings = Settings(1, FP32, **options)
    Fit(state, batches, accuracy(batches), settings, listener, class_weights=class_weights).run()
    images, labels = next(batches.epoch(0))
    return listener.rows[0]["train_loss"], images, labels


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("mixing", [Mixing(), Mixing(mixup=1.0), Mixing(cutmix=100.0)])
def test_class_weights_multiply_the_loss_of_each_image_and_each_part_of_a_mixture(
    smoothing, mixing
):
    given = torch.tensor([0.5, 2.0, 3.0])
    got, images, labels = first_loss(given, label_smoothing=smoothing, mixing=mixing)
    partners, share = labels, 1.0
    if mixing:
        images, partners, share = mixing(images, labels, (0, 0, 0))
        assert 0.05 < share < 0.95
    net = training().model.train()
    seed_batch(0, 0)
    log_p = net(images).log_softmax(1)
    expected = 0.0
    for part, whose in ((share, labels), (1 - share, partners)):
        own = -log_p.gather(1, whose[:, None])[:, 0]
        each = (1 - smoothing) * own - smoothing * log_p.mean(1)
        expected = expected + part * (each * given[whose]).mean()
    assert got == pytest.approx(expected.item(), rel=1e-5)


def test_the_column_that_is_asked_for_chooses_the_best_epoch():
    curves = {"val_accuracy": iter([0.9, 0.8, 0.7]), "val_balanced_accuracy": iter([0.3, 0.6, 0.5])}
    state = training(schedule=Plateau(patience=0, gamma=0.5))
    listener = run(
        state,
        Settings(3, FP32, chosen_by="val_balanced_accuracy"),
        measure=lambda net: {"val_loss": 1.0} | {k: next(curve) for k, curve in curves.items()},
    )
    assert [row["improved"] for row in listener.rows] == [True, True, False]
    assert (state.progress.best_epoch, state.progress.best_accuracy) == (2, 0.6)
    assert state.schedule.state_dict()["best"] == 0.6


def test_early_stopping_keeps_the_best_epoch():
    curve = iter([0.3, 0.5, 0.4, 0.5, 0.6, 0.1])
    state, saved = training(), []
    listener = run(
        state,
        Settings(epochs=6, precision=FP32, early_stopping=2),
        measure=lambda net: {"val_accuracy": next(curve), "val_loss": 1.0},
        save=lambda *told: saved.append(told),
    )
    assert len(listener.rows) == 4
    assert state.progress.best_epoch == 2
    assert saved == [(True, False), (True, False), (False, False), (False, True)]


def test_of_equal_accuracies_the_lower_loss_is_better():
    curve = iter([(0.5, 1.0), (0.5, 1.2), (0.5, 0.8), (0.4, 0.1)])
    state, saved = training(), []

    def measure(net):
        accuracy, loss = next(curve)
        return {"val_accuracy": accuracy, "val_loss": loss}

    def save(improved, final):
        saved.append((improved, final))

    run(state, Settings(epochs=4, precision=FP32), measure=measure, save=save)
    assert saved == [(True, False), (False, False), (True, False), (False, True)]
    assert state.progress.best_epoch == 3


def test_a_loss_that_is_not_finite_stops_with_words():
    state = training()
    batches = Batches()
    fourth = torch.randperm(48, generator=torch.Generator().manual_seed(0))[8 * 3]
    batches.images[fourth] = math.inf
    # Losses are read later, at step 6; what is told is still of the step that went wrong.
    words = r"became nan at step 4 \(epoch 1\) at learning rate 0\.05833; the last finite one was 1"
    with pytest.raises(Diverged, match=words):
        Fit(state, batches, accuracy(batches), Settings(1, FP32), Silence()).run()


def test_gradient_norms_are_those_of_the_children():
    state, listener = training(), Silence()
    batches = Batches()
    batches.steps = 1
    Fit(state, batches, accuracy(batches), Settings(1, FP32), listener).run()
    net = training().model.train()
    seed_batch(0, 0)
    images, labels = next(batches.epoch(0))
    F.cross_entropy(net(images), labels).backward()
    for name, child in net.named_children():
        expected = torch.cat([p.grad.flatten() for p in child.parameters()]).norm().item()
        assert listener.rows[0][f"gradient_{name}"] == pytest.approx(expected, rel=1e-5)


def test_frozen_means_frozen():
    """No gradient, no decay, no batch-norm statistics: bit for bit."""
    state = training()
    state.model.freeze([state.model.backbone])
    options = {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    state.optimizer = build_optimizer(state.model, options, {})
    before = {k: v.clone() for k, v in state.model.state_dict().items()}
    run(state, Settings(epochs=2, precision=FP32))
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("backbone"), name


def test_a_checkpoint_of_another_model_is_refused():
    state = training().state_dict()
    other = Training(
        Classifier(nn.Conv2d(3, 5, 3), GAP((5, 4, 4), 3)),
        training().optimizer,
        Cosine(),
        FP32.scaler(),
    )
    with pytest.raises(UserError, match="does not belong to this run"):
        other.load_state_dict(state)
