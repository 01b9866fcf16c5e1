"""The linear probe against scikit-learn: the same minimum, the same accuracy, in less time."""

import time

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from gapfc.engine.class_weights import class_weights
from gapfc.measure import linear_probe
from gapfc.measure.linear_probe import PENALTIES, solve


def digits(width):
    """ReLU features of the digits, as a backbone would give them: train, val, test."""
    pixels, labels = load_digits(return_X_y=True)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(labels), generator=generator)
    projection = torch.randn(64, width, generator=generator) / 8
    features = (torch.from_numpy(pixels).float()[order] / 4 @ projection + 0.1).relu()
    labels = torch.from_numpy(labels).long()[order]
    return [
        (features[part], labels[part]) for part in (slice(900), slice(900, 1100), slice(1100, None))
    ]


def sklearn_probabilities(train, test, penalty, bias=True, weights=None):
    """The same objective, at the same scale of features."""
    x, y = train
    mean = x.mean(0) if bias else torch.zeros_like(x[0])
    scale = (x - mean).square().sum(1).mean().sqrt()
    model = LogisticRegression(
        C=1 / (penalty * len(x)),
        fit_intercept=bias,
        max_iter=10_000,
        tol=1e-8,
        class_weight=weights and dict(enumerate(weights)),
    ).fit(((x - mean) / scale).double().numpy(), y.numpy())
    return torch.from_numpy(model.predict_proba(((test - mean) / scale).double().numpy()))


def test_weighted_classes_are_those_of_sklearn(monkeypatch):
    monkeypatch.setattr(linear_probe, "PENALTIES", (1e-3,))
    train, val, test = digits(48)
    kept = (train[1] > 2) | (torch.arange(len(train[1])) % 5 == 0)  # three rare classes
    train = (train[0][kept], train[1][kept])
    weights = class_weights("balanced", train[1], range(10))
    found = solve(train, val, 10, weights=weights)
    expected = sklearn_probabilities(train, test[0], 1e-3, weights=weights.tolist())
    plain = solve(train, val, 10)
    assert (probabilities(found, test[0]) - expected).abs().mean() < 0.002
    assert (probabilities(plain, test[0]) - expected).abs().mean() > 0.006
    rare = test[1] <= 2
    assert probabilities(found, test[0])[rare, test[1][rare]].mean() > (
        probabilities(plain, test[0])[rare, test[1][rare]].mean() + 0.02
    )


def test_validation_judges_weighted_probes_by_the_mean_over_classes():
    logits = torch.eye(3)[torch.tensor([0, 0, 0, 0, 0, 1])]
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    assert linear_probe._accuracy(logits, labels) == pytest.approx(5 / 6)
    assert linear_probe._balanced_accuracy(logits, labels) == pytest.approx((1 + 1 / 2) / 2)


def probabilities(found, x):
    bias = 0 if found.bias is None else found.bias
    return (x.double() @ found.weight.double().T + bias).softmax(1)


@pytest.mark.parametrize("penalty", [1e-2, 1e-4])
@pytest.mark.parametrize(
    ("width", "largest", "bias"),
    [(48, 2048, True), (1500, 2048, True), (48, 10, True), (48, 2048, False), (1500, 2048, False)],
    ids=["narrow", "wide", "without a basis", "narrow, no bias", "wide, no bias"],
)
def test_finds_the_minimum_that_sklearn_finds(monkeypatch, width, largest, bias, penalty):
    monkeypatch.setattr(linear_probe, "PENALTIES", (penalty,))
    monkeypatch.setattr(linear_probe, "LARGEST_BASIS", largest)
    train, val, test = digits(width)
    found = solve(train, val, 10, bias)
    expected = sklearn_probabilities(train, test[0], penalty, bias)
    assert (probabilities(found, test[0]) - expected).abs().max() < 0.06
    assert (probabilities(found, test[0]) - expected).abs().mean() < 0.002
    assert (found.bias is None) == (not bias)


@pytest.mark.slow
@pytest.mark.parametrize("width", [64, 512])
def test_accuracy_is_within_half_a_point_of_the_best_sklearn_and_not_slower(width):
    train, val, test = digits(width)
    solve(train, val, 10)  # torch starts its linear algebra
    begun = time.process_time()
    found = solve(train, val, 10)
    ours = time.process_time() - begun
    begun = time.process_time()
    chosen = []
    for penalty in PENALTIES:
        right = sklearn_probabilities(train, val[0], penalty).argmax(1) == val[1]
        chosen.append((float(right.double().mean()), penalty))
    theirs = time.process_time() - begun
    expected = sklearn_probabilities(train, test[0], max(chosen)[1]).argmax(1) == test[1]
    right = probabilities(found, test[0]).argmax(1) == test[1]
    assert float(right.double().mean()) >= float(expected.double().mean()) - 0.005
    assert ours < theirs


def test_what_it_reports_is_what_its_weights_give():
    train, val, _ = digits(100)
    found = solve(train, val, 10)
    logits = F.linear(train[0], found.weight, found.bias)
    assert found.loss == pytest.approx(float(F.cross_entropy(logits, train[1])), abs=1e-4)
    assert found.train_accuracy == float((logits.argmax(1) == train[1]).double().mean())
    held = F.linear(val[0], found.weight, found.bias).argmax(1) == val[1]
    assert found.val_accuracy == pytest.approx(float(held.double().mean()), abs=0.005)
    assert found.penalty in PENALTIES
    assert found.iterations > 0


def test_one_image_a_class_and_constant_features_have_a_solution():
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(5, 30, generator=generator), torch.arange(5)
    found = solve((features, labels), (features, labels), 5)
    assert found.train_accuracy == 1.0
    constant = torch.ones(6, 3), torch.tensor([0, 0, 0, 0, 1, 1])
    found = solve(constant, constant, 2)
    assert torch.isfinite(found.weight).all()
    assert found.train_accuracy == pytest.approx(4 / 6)


def test_the_same_features_give_the_same_bits():
    train, val, _ = digits(64)
    once, again = solve(train, val, 10), solve(train, val, 10)
    assert torch.equal(once.weight, again.weight)
    assert torch.equal(once.bias, again.bias)
