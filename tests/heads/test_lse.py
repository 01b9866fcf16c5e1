"""Log-sum-exp pooling between its limits, and where exponentials would overflow."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gapfc.heads import LSE

SHAPE = (6, 5, 7)


def features(seed=0):
    return torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(seed))


def pooled(x, r):
    return LSE(SHAPE, 4, r=r).pool(x)


def test_the_formula_in_double_precision():
    x = features()
    for r in (0.3, 1.0, 4.0):
        expected = (r * x.double()).exp().mean((2, 3)).log() / r
        torch.testing.assert_close(pooled(x, r).double(), expected, rtol=1e-5, atol=1e-6)


def test_small_r_is_the_mean_and_large_r_the_maximum():
    x = features()
    torch.testing.assert_close(pooled(x, 1e-6), x.mean((2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pooled(x, 1e-3), x.mean((2, 3)), rtol=0, atol=2e-3)
    # Of 35 equal parts the largest alone is log(35)/r below itself at most.
    torch.testing.assert_close(pooled(x, 1000.0), x.amax((2, 3)), rtol=0, atol=4e-3)


@given(st.integers(0, 99), st.floats(1e-3, 100))
def test_it_lies_between_mean_and_maximum_and_grows_with_r(seed, r):
    x = features(seed)
    low, high = pooled(x, r), pooled(x, 2 * r)
    assert (low >= x.mean((2, 3)) - 1e-4).all()
    assert (low <= high + 1e-4).all()
    assert (high <= x.amax((2, 3)) + 1e-4).all()


def test_it_moves_with_the_features_and_does_not_overflow():
    x = features()
    torch.testing.assert_close(pooled(x + 1e4, 50.0), pooled(x, 50.0) + 1e4, rtol=1e-6, atol=0)
    large = (1e30 * x).requires_grad_()
    head = LSE(SHAPE, 4)
    head.pool(large).sum().backward()
    assert large.grad.isfinite().all()
    assert head.log_r.grad.isfinite()


def test_its_gradient_is_the_softmax_of_the_positions():
    x = features().requires_grad_()
    pooled(x, 2.0).sum().backward()
    expected = (2.0 * x.detach()).flatten(2).softmax(2).unflatten(2, (5, 7))
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-6)


def test_r_is_learned_unless_it_is_not():
    x = features()
    head = LSE(SHAPE, 4)
    head.pool(x).sum().backward()
    assert head.log_r.grad > 0  # a larger r gives larger values
    assert not LSE(SHAPE, 4, learn_r=False).log_r.requires_grad
