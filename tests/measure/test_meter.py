"""The meter against scikit-learn, closed forms and values worked out by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from gapfc.measure.meter import Meter


def measure(logits, labels, sizes=None):
    meter = Meter(logits.shape[1])
    sizes = sizes or [len(labels)]
    for a, b in zip(logits.split(sizes), labels.split(sizes), strict=True):
        meter.update(a, b)
    return meter.compute()


def agree(one, other):
    """Equal counts, and numbers to rounding."""
    assert (one["confusion"] == other["confusion"]).all()
    for mine, theirs in zip(one["each"], other["each"], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=0)
    for name in one.keys() - {"confusion", "each"}:
        assert one[name] == pytest.approx(other[name], rel=1e-12), name


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 12, (400,), generator=generator)
    logits = torch.randn(400, 12, generator=generator)
    logits[torch.arange(400), labels] += 1.5
    return logits, labels


def test_agrees_with_scikit_learn(case):
    logits, labels = case
    got = measure(logits, labels)
    p = logits.double().softmax(1).numpy()
    y = labels.numpy()
    classes = range(12)
    assert got["accuracy"] == metrics.accuracy_score(y, p.argmax(1))
    assert got["top5"] == metrics.top_k_accuracy_score(y, p, k=5, labels=classes)
    assert got["nll"] == pytest.approx(metrics.log_loss(y, p, labels=classes), rel=1e-12)
    assert (got["confusion"].numpy() == metrics.confusion_matrix(y, p.argmax(1))).all()
    assert got["brier"] == pytest.approx(((p - np.eye(12)[y]) ** 2).sum(1).mean(), rel=1e-12)


@pytest.mark.parametrize("absent", [(), (4,), (0, 11)])
def test_each_class_agrees_with_scikit_learn(case, absent):
    """Also with classes that have no sample, or are never seen."""
    logits, labels = case
    logits = logits.clone()
    logits[:, 7] = -100
    kept = torch.tensor([label not in absent for label in labels.tolist()])
    logits, labels = logits[kept], labels[kept]
    got, seen = measure(logits, labels), logits.argmax(1).numpy()
    y, options = labels.numpy(), {"labels": range(12), "average": None}
    for name, score in (("recall", metrics.recall_score), ("precision", metrics.precision_score)):
        expected = score(y, seen, zero_division=np.nan, **options).tolist()
        assert got[name] == [None if math.isnan(v) else pytest.approx(v) for v in expected]
    assert [i for i, value in enumerate(got["recall"]) if value is None] == list(absent)
    assert got["precision"][7] is None
    assert got["recall"][7] == 0
    f1 = metrics.f1_score(y, seen, labels=range(12), average="macro", zero_division=0)
    assert got["macro_f1"] == pytest.approx(f1, rel=1e-12)
    present = [value for value in got["recall"] if value is not None]
    assert got["balanced_accuracy"] == pytest.approx(np.mean(present), rel=1e-12)
    if not absent:
        balanced = metrics.balanced_accuracy_score(y, seen)
        assert got["balanced_accuracy"] == pytest.approx(balanced, rel=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.integers(0, 2**31), st.integers(1, 60))
def test_balanced_accuracy_is_that_of_scikit_learn(classes, seed, count):
    """Over any confusion, with classes that are missing from labels, from predictions or both."""
    draw = np.random.default_rng(seed)
    shares = draw.dirichlet(np.full(classes, 0.5))
    labels = torch.from_numpy(draw.choice(classes, count, p=shares))
    logits = torch.from_numpy(draw.normal(size=(count, classes)))
    got = measure(logits, labels)
    expected = metrics.balanced_accuracy_score(labels.numpy(), logits.argmax(1).numpy())
    assert got["balanced_accuracy"] == pytest.approx(expected, rel=1e-12)
    assert got["class_sizes"] == torch.bincount(labels, minlength=classes).tolist()


def test_each_sample_has_its_probabilities(case):
    logits, labels = case
    p = logits.double().softmax(1)
    got = measure(logits, labels, [150, 250])
    each = got["each"]
    assert torch.equal(each.label, labels)
    assert torch.equal(each.prediction, logits.argmax(1))
    assert torch.equal(each.p_label, p[torch.arange(400), labels].float())
    assert torch.equal(each.p_prediction, p.amax(1).float())
    assert float((each.prediction == labels).double().mean()) == got["accuracy"]


def test_ece_agrees_with_a_loop_over_bins(case):
    logits, labels = case
    p = logits.double().softmax(1).numpy()
    confidence, right = p.max(1), p.argmax(1) == labels.numpy()
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    assert measure(logits, labels)["ece"] == pytest.approx(expected, rel=1e-12)


def test_two_samples_by_hand():
    # p = (0.8, 0.2), label 0, and p = (0.4, 0.6), label 0.
    logits = torch.tensor([[0.8, 0.2], [0.4, 0.6]]).double().log()
    got = measure(logits, torch.tensor([0, 0]))
    assert got["accuracy"] == 0.5
    assert got["top5"] is None
    assert got["nll"] == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert got["brier"] == pytest.approx((0.04 + 0.04 + 0.36 + 0.36) / 2)
    # 0.8 and 0.6 lie in bins of their own: gaps 0.2 and 0.6.
    assert got["ece"] == pytest.approx((0.2 + 0.6) / 2)
    assert got["confusion"].tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize("classes", [2, 6, 100])
def test_a_constant_output_scores_as_chance(classes):
    got = measure(torch.zeros(classes, classes), torch.arange(classes))
    assert got["accuracy"] == pytest.approx(1 / classes)
    assert got["nll"] == pytest.approx(math.log(classes))
    assert got["brier"] == pytest.approx(1 - 1 / classes)
    assert got["top5"] == (None if classes == 2 else pytest.approx(5 / classes))
    assert got["ece"] == pytest.approx(0, abs=1e-12)


def test_perfect_and_certain():
    got = measure(torch.eye(7) * 1e4, torch.arange(7))
    assert (got["accuracy"], got["top5"], got["nll"], got["brier"]) == (1, 1, 0, 0)
    assert got["ece"] == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 3])
def test_a_logit_that_is_not_finite_shows(case, value, place):
    logits, labels = case
    logits, labels = logits[:20].clone(), labels[:20]
    labels[5] = 3
    logits[5, place] = value
    got = measure(logits, labels)
    assert math.isnan(got["nll"])
    assert math.isnan(got["brier"])
    assert math.isnan(got["ece"])
    assert 0 <= got["accuracy"] <= 1


def test_nan_is_never_right():
    got = measure(torch.full((4, 6), math.nan), torch.zeros(4, dtype=torch.long))
    assert (got["accuracy"], got["top5"]) == (0, 0)
    assert (got["balanced_accuracy"], got["macro_f1"]) == (0, 0)
    assert got["recall"] == [0, *[None] * 5]
    assert got["precision"] == [None] * 6
    assert got["each"].prediction.tolist() == [-1] * 4
    assert got["each"].p_label.isnan().all()


def test_the_softmax_of_bfloat16_logits_is_not_bfloat16(case):
    logits, labels = case
    low = logits.bfloat16()
    assert measure(low, labels)["nll"] == measure(low.double(), labels)["nll"]


@settings(max_examples=30, deadline=None)
@given(cut=st.lists(st.integers(1, 399), max_size=6, unique=True))
def test_batches_do_not_matter(cut):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(400, 8, generator=generator) * 3
    labels = torch.randint(0, 8, (400,), generator=generator)
    edges = [0, *sorted(cut), 400]
    sizes = [b - a for a, b in itertools.pairwise(edges)]
    whole, parts = measure(logits, labels), measure(logits, labels, sizes)
    assert whole["accuracy"] == parts["accuracy"]
    agree(parts, whole)


def test_works_across_inference_mode():
    meter = Meter(3)
    with torch.inference_mode():
        meter.update(torch.eye(3), torch.arange(3))
    meter.update(torch.eye(3), torch.arange(3))
    assert meter.compute()["accuracy"] == 1


def test_refuses_nothing_and_the_wrong_number_of_classes():
    with pytest.raises(ValueError, match="no sample"):
        Meter(3).compute()
    with pytest.raises(ValueError, match=r"\[B, 3\]"):
        Meter(3).update(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_is_deterministic_waits_for_nothing_and_agrees_with_the_cpu(case):
    logits, labels = case
    expected = measure(logits, labels)
    meter = Meter(12)
    here, there = logits.cuda(), labels.cuda()
    torch.use_deterministic_algorithms(True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for a, b in zip(here.split(64), there.split(64), strict=True):
            meter.update(a, b)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.use_deterministic_algorithms(False)
    got = meter.compute()
    agree(got, expected)
