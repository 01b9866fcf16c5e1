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
    assert (whole.pop("confusion") == parts.pop("confusion")).all()
    assert whole["accuracy"] == parts["accuracy"]
    assert parts == pytest.approx(whole, rel=1e-12)


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
    assert (got.pop("confusion") == expected.pop("confusion")).all()
    assert got == pytest.approx(expected, rel=1e-12)
