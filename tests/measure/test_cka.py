"""Linear CKA against the paper's formula, its invariances, and a backbone that changes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gapfc.measure.cka import LARGEST_SIDE, Representations, gram, linear_cka


def cka(x, y):
    return linear_cka(gram(x), gram(y))


def reference(x, y):
    """Kornblith et al. 2019, section 4: in feature space, by numpy."""
    x, y = (np.asarray(z, dtype=np.float64) for z in (x, y))
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_equals_the_formula_in_feature_space(n, p, q, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator)
    y = torch.randn(n, q, generator=generator) + x[:, :1]
    assert cka(x, y) == pytest.approx(reference(x, y), abs=1e-9)


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
    images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    seen = Representations(backbone, ("0",), [images])
    pooled = torch.nn.functional.avg_pool2d(images, 2).flatten(1)
    centred = (pooled - pooled.mean(0)).double()
    assert torch.allclose(seen._before["0"], centred @ centred.T, rtol=1e-4, atol=1e-3)
