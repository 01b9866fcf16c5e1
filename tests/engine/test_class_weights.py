"""Weights of classes in the loss: against scikit-learn's, and torch's weighted mean."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from gapfc.engine.class_weights import class_weights, cross_entropy
from gapfc.errors import UserError


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=80))
def test_balanced_is_scikit_learns_formula_with_mean_one(labels):
    labels = torch.tensor(labels)
    weights = class_weights("balanced", labels, "abcdef")
    present = labels.unique()
    expected = compute_class_weight("balanced", classes=present.numpy(), y=labels.numpy())
    assert weights[present].numpy() == pytest.approx(expected, rel=1e-6)
    assert weights[labels].mean().item() == pytest.approx(1, rel=1e-5)
    absent = np.setdiff1d(np.arange(6), present.numpy())
    assert (weights[absent] == 1).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=40),
    st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3),
)
def test_of_a_list_only_the_proportions_count(labels, wished):
    labels = torch.tensor(labels)
    weights = class_weights(wished, labels, "abc")
    assert weights[labels].mean().item() == pytest.approx(1, rel=1e-5)
    seen = labels.unique()
    ratios = weights[seen].double() / torch.tensor(wished, dtype=torch.float64)[seen]
    assert ratios.max().item() == pytest.approx(ratios.min().item(), rel=1e-5)


def test_over_all_images_the_loss_is_torchs_weighted_mean():
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * 30 + [1] * 8 + [2] * 2)
    logits = torch.randn(40, 3, generator=generator)
    weights = class_weights("balanced", labels, "abc")
    ours = cross_entropy(logits, labels, weights=weights)
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, weight=weights))
    # ... and the mean over classes of the mean over their images.
    means = [F.cross_entropy(logits[labels == k], labels[labels == k]) for k in range(3)]
    torch.testing.assert_close(ours, torch.stack(means).mean())
    halves = [cross_entropy(logits[i::2], labels[i::2], weights=weights) for i in (0, 1)]
    torch.testing.assert_close(torch.stack(halves).mean(), ours)


def test_equal_weights_change_nothing():
    logits, labels = torch.randn(12, 4), torch.arange(12) % 4
    assert class_weights(None, labels, "abcd") is None
    even = class_weights("balanced", labels, "abcd")
    assert torch.equal(even, torch.ones(4))
    for smoothing in (0.0, 0.2):
        torch.testing.assert_close(
            cross_entropy(logits, labels, smoothing, even),
            F.cross_entropy(logits, labels, label_smoothing=smoothing),
        )


def test_a_list_of_another_length_is_refused_with_the_order_of_classes():
    with pytest.raises(UserError) as said:
        class_weights([1.0, 2.0], torch.arange(6), ["ant", "bee", "c\x1b[31m", "dog", "elk", "fly"])
    assert "trainer.class_weights has 2 numbers and the data 6 classes" in str(said.value)
    assert "ant, bee" in str(said.value)
    assert "\x1b" not in str(said.value)
