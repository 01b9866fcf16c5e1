"""Debiased linear CKA against the paper's formula, its invariances, and a backbone that changes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gapfc.measure.cka import LARGEST_SIDE, Representations, gram, linear_cka


def cka(x, y):
    return linear_cka(gram(x), gram(y))


def hsic(k, m):
    """The unbiased estimator, Song et al. 2012, eq. 5, written out."""
    n = len(k)
    k, m = (z - np.diag(np.diag(z)) for z in (k, m))
    one = np.ones(n)
    return (
        np.trace(k @ m)
        + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ m @ one)
    ) / (n * (n - 3))


def reference(x, y):
    """Of Gram matrices that are not centred, by numpy."""
    k, m = (z @ z.T for z in (np.asarray(z, dtype=np.float64) for z in (x, y)))
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 40), st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_equals_the_formula_written_out(n, p, q, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator)
    y = torch.randn(n, q, generator=generator) + x[:, :1]
    assert cka(x, y) == pytest.approx(reference(x, y), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_independent_representations_are_not_alike_however_wide(seed):
    """Where the biased estimator gives 0.97."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, 256, 8192, generator=generator)
    assert abs(cka(x, y)) < 0.05
    centred = [(z - z.mean(0)).double() for z in (x, y)]
    k, m = (z @ z.T for z in centred)
    assert float((k * m).sum() / (k.norm() * m.norm())) == pytest.approx(0.97, abs=0.005)


def test_has_no_bias():
    """Around 0 over many small samples, on both sides of it."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randn(400, 2, 10, 20, generator=generator)
    values = np.array([cka(x, y) for x, y in pairs])
    assert abs(values.mean()) < 4 * values.std() / 20
    assert (values < 0).mean() == pytest.approx(0.5, abs=0.1)


def test_does_not_see_rotation_scale_and_shift_but_sees_other_scalings():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 8, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=generator, dtype=torch.float64))[0]
    assert cka(x, 3 * x @ rotation + 7) == pytest.approx(1, abs=1e-12)
    stretched = x * torch.tensor([10.0] + [1.0] * 7)
    assert cka(x, stretched) < 0.6


def test_one_without_a_difference_is_exactly_one_and_a_constant_has_none():
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    assert cka(x, x.clone()) == 1.0
    assert cka(x, torch.ones(20, 5)) is None
    assert cka(x[:4], x[:4].clone()) == 1.0
    assert cka(x[:3], x[:3].clone()) is None


class Backbone(nn.Sequential):
    def __init__(self):
        torch.manual_seed(0)
        super().__init__(
            nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)),
            nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3)),
        )


def test_a_backbone_before_and_after_by_hand():
    backbone = Backbone()
    images = torch.randn(12, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    seen = Representations(backbone, ("0", "1"), images.split(5))
    assert seen.cka() == {"0": 1.0, "1": 1.0}
    backbone.eval()
    with torch.no_grad():
        # Cloned: the second stage begins in place.
        first, second = backbone[0](images).clone(), backbone(images)
        backbone[1][1].weight += 0.2 * torch.randn(
            5, 4, 3, 3, generator=torch.Generator().manual_seed(2)
        )
        changed = backbone(images)
    backbone.train()
    found = seen.cka()
    assert found["0"] == 1.0
    assert found["1"] == pytest.approx(reference(second.flatten(1), changed.flatten(1)), abs=1e-6)
    assert found["1"] < 0.999
    assert backbone.training
    assert torch.equal(first, backbone.eval()[0](images).detach())


def test_maps_of_photos_are_averaged_down_and_keep_one_row_an_image():
    backbone = nn.Sequential(nn.Identity())
    side = 2 * LARGEST_SIDE
    images = torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(0))
    seen = Representations(backbone, ("0",), [images])
    pooled = torch.nn.functional.avg_pool2d(images, 2).flatten(1)
    assert torch.allclose(seen._before["0"], gram(pooled), rtol=1e-4, atol=1e-3)
