"""Every head against closed forms and independent references."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from gapfc.errors import UserError
from gapfc.heads import FC, GAP, GAPGMP, GMP, LSE, NIN, SPP, SPPF, Attn, GeM, SPPFixed, names
from gapfc.heads.pyramid import bins, pyramid_max, pyramid_mean
from gapfc.settings.paths import CONFIGS

HEADS = {
    "fc": FC,
    "gap": GAP,
    "gmp": GMP,
    "gapgmp": GAPGMP,
    "gem": GeM,
    "nin": NIN,
    "spp": SPP,
    "sppf": SPPF,
    "spp_fixed": SPPFixed,
    "lse": LSE,
    "attn": Attn,
}
SHAPE = (6, 5, 7)
K = 4

sizes = st.integers(1, 9)


def features(shape=SHAPE, batch=3, seed=0):
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("fc", 6 * 5 * 7),
        ("gap", 6),
        ("gmp", 6),
        ("gapgmp", 12),
        ("gem", 6),
        ("nin", K),
        ("spp", 6 * 21),
        ("sppf", 6),
        ("spp_fixed", 18),
        ("lse", 6),
        ("attn", 24),
    ],
)
def test_width_is_known_before_data(name, width):
    head = HEADS[name](SHAPE, K)
    assert head.width == width
    if hasattr(head, "pool"):
        assert head.pool(features()).shape == (3, width)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("shape", [(6, 4, 4), (6, 3, 8)])
def test_forward_and_backward(name, shape):
    head = HEADS[name](shape, K)
    x = features(shape).requires_grad_()
    logits = head(x)
    assert logits.shape == (3, K)
    logits.square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize("name", sorted(set(HEADS) - {"fc"}))
def test_accepts_any_size_and_says_so(name):
    head = HEADS[name](SHAPE, K).eval()
    assert head.accepts_any_size
    for size in ((5, 7), (9, 4), (16, 16)):
        assert head(features((6, *size))).shape == (3, K)


@pytest.mark.parametrize("name", HEADS)
def test_other_channels_are_named(name):
    head = HEADS[name](SHAPE, K)
    words = r"features \[B, 6, H, W\] and got \[3, 5, 5, 7\]: .* feature_shape"
    with pytest.raises(UserError, match=words):
        head(features((5, 5, 7)))
    with pytest.raises(UserError, match=r"got \[6, 5, 7\]"):
        head(features()[0])


def test_fc_refuses_another_size_and_names_the_heads_that_take_it():
    head = FC(SHAPE, K)
    assert not head.accepts_any_size
    with pytest.raises(UserError, match=r"6×5×7 .* 6×7×5.*gap, gapgmp, gem"):
        head(features((6, 7, 5)))


def test_fc_is_a_matrix_product_over_all_places():
    head = FC(SHAPE, K, hidden=[], dropout=0.0)
    x = features()
    weight = head.classifier[0].weight.reshape(K, *SHAPE)
    expected = torch.einsum("bchw,kchw->bk", x, weight) + head.classifier[0].bias
    torch.testing.assert_close(head(x), expected)


def test_fc_layers_are_those_of_the_design():
    kinds = [type(layer) for layer in FC(SHAPE, K, hidden=[8], dropout=0.5).classifier]
    assert kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]


def test_gap_against_torch():
    head = GAP(SHAPE, K)
    x = features()
    expected = head.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))
    torch.testing.assert_close(head(x), expected)


def test_gmp_and_gapgmp_against_torch():
    x = features()
    maxima = F.adaptive_max_pool2d(x, 1).flatten(1)
    torch.testing.assert_close(GMP(SHAPE, K).pool(x), maxima)
    torch.testing.assert_close(
        GAPGMP(SHAPE, K).pool(x), torch.cat([F.adaptive_avg_pool2d(x, 1).flatten(1), maxima], 1)
    )


def test_linear_of_mean_is_mean_of_convolution():
    """gap and nin without ReLU are one function when they share weights (DESIGN, Heads)."""
    gap, nin = GAP(SHAPE, K), NIN(SHAPE, K, relu=False)
    nin.conv.weight.data = gap.classifier[0].weight.data[:, :, None, None].clone()
    nin.conv.bias.data = gap.classifier[0].bias.data.clone()
    x = features()
    torch.testing.assert_close(gap(x), nin(x), rtol=1e-5, atol=1e-6)


def test_nin_is_relu_before_mean():
    head = NIN(SHAPE, K)
    x = features()
    maps = torch.einsum("bchw,kc->bkhw", x, head.conv.weight[:, :, 0, 0])
    maps = (maps + head.conv.bias[:, None, None]).clamp(min=0)
    torch.testing.assert_close(head(x), maps.mean((2, 3)))
    assert (head(x) >= 0).all()


def test_nin_without_conv_has_no_parameters_and_needs_k_maps():
    head = NIN((K, 5, 7), K, conv=False, relu=False)
    assert not list(head.parameters())
    x = features((K, 5, 7))
    torch.testing.assert_close(head(x), x.mean((2, 3)))
    with pytest.raises(UserError, match=r"head.conv=false .* 4; the backbone gives 6"):
        NIN(SHAPE, K, conv=False)


def test_gem_at_one_is_the_mean_and_at_large_p_the_maximum():
    x = features().abs() + 0.1
    torch.testing.assert_close(GeM(SHAPE, K, p=1.0).pool(x), x.mean((2, 3)))
    large = GeM(SHAPE, K, p=60.0).pool(x.clamp(max=2))
    torch.testing.assert_close(large, x.clamp(max=2).amax((2, 3)), rtol=0.08, atol=0)


def test_gem_formula_and_gradient_of_p():
    head = GeM(SHAPE, K, p=3.0)
    x = features().double().abs() + 0.1
    expected = (x**3).mean((2, 3)) ** (1 / 3)
    torch.testing.assert_close(head.pool(x).double(), expected, rtol=1e-5, atol=1e-6)
    head(x.float()).sum().backward()
    assert head.p.grad.abs() > 0
    assert not GeM(SHAPE, K, learn_p=False).p.requires_grad


def test_gem_takes_negative_and_zero_features():
    head = GeM(SHAPE, K)
    x = (-features().abs()).requires_grad_()
    head(x).sum().backward()
    assert head.pool(x).isfinite().all()
    assert x.grad.isfinite().all()


@given(st.integers(1, 20), st.integers(1, 8))
def test_bins_cover_everything_as_the_design_has_them(length, n):
    intervals = bins(n, length)
    assert {i for a, b in intervals for i in range(a, b)} == set(range(length))
    assert intervals[0][0] == 0
    assert intervals[-1][1] == length
    assert all(b > a for a, b in intervals)
    for i, (a, b) in enumerate(intervals):
        assert a == math.floor(Fraction(i * length, n))
        assert b == math.ceil(Fraction((i + 1) * length, n))


@settings(deadline=None, max_examples=50)
@given(sizes, sizes, st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 99))
def test_pyramids_equal_torchs_adaptive_pools(height, width, levels, seed):
    """torch's adaptive pools have the same bins (not their backward on CUDA)."""
    x = features((3, height, width), seed=seed)
    for pool, reference in (
        (pyramid_max, F.adaptive_max_pool2d),
        (pyramid_mean, F.adaptive_avg_pool2d),
    ):
        expected = torch.cat([reference(x, n).flatten(2) for n in levels], dim=2)
        torch.testing.assert_close(pool(x, levels), expected)


def test_spp_gradient_equals_torchs():
    x = features((3, 5, 7)).requires_grad_()
    weight = torch.randn(3, 21)
    for pool, reference in (
        (pyramid_max, F.adaptive_max_pool2d),
        (pyramid_mean, F.adaptive_avg_pool2d),
    ):
        (ours,) = torch.autograd.grad((pool(x, (1, 2, 4)) * weight).sum(), x)
        pooled = torch.cat([reference(x, n).flatten(2) for n in (1, 2, 4)], 2)
        (theirs,) = torch.autograd.grad((pooled * weight).sum(), x)
        torch.testing.assert_close(ours, theirs)


def test_spp_of_one_level_is_global_pooling():
    x = features()
    torch.testing.assert_close(SPP(SHAPE, K, levels=[1], pool="avg").pool(x), GAP(SHAPE, K).pool(x))
    torch.testing.assert_close(SPP(SHAPE, K, levels=[1], pool="max").pool(x), GMP(SHAPE, K).pool(x))


def test_spp_average_first_met_in_inference_can_still_be_trained():
    head = SPP((3, 11, 13), K, levels=[3], pool="avg")
    with torch.inference_mode():
        head(features((3, 11, 13)))
    head(features((3, 11, 13)).requires_grad_()).sum().backward()
    assert head.classifier[0].weight.grad.abs().sum() > 0


@given(st.integers(1, 12), st.integers(1, 12))
def test_three_chained_fives_see_5_9_and_13(height, width):
    x = features((2, height, width))
    chained = x
    for window in (5, 9, 13):
        chained = F.max_pool2d(chained, 5, 1, 2)
        torch.testing.assert_close(chained, F.max_pool2d(x, window, 1, window // 2))


def test_sppf_equals_parallel_pools():
    head = SPPF(SHAPE, K, hidden_channels=3, out_channels=5)
    x = features()
    reduced = torch.einsum("bchw,dc->bdhw", x, head.reduce.weight[:, :, 0, 0])
    reduced = reduced + head.reduce.bias[:, None, None]
    levels = [reduced, *(F.max_pool2d(reduced, k, 1, k // 2) for k in (5, 9, 13))]
    vector = head.expand(torch.cat(levels, 1)).mean((2, 3))
    assert head.width == vector.shape[1] == 5
    torch.testing.assert_close(head(x), F.linear(vector, *head.classifier.parameters()))


@pytest.mark.parametrize("pool", ["max", "avg"])
def test_spp_fixed_against_unfolded_windows(pool):
    head = SPPFixed(SHAPE, K, windows=[1, 2, 3], pool=pool)
    x = features()
    means = []
    for k in (1, 2, 3):
        windows = x.unfold(2, k, 1).unfold(3, k, 1)
        level = windows.amax((4, 5)) if pool == "max" else windows.mean((4, 5))
        means.append(level.mean((2, 3)))
    torch.testing.assert_close(head.pool(x), torch.cat(means, 1))


def test_spp_fixed_needs_a_map_as_large_as_its_windows():
    with pytest.raises(UserError, match="at least 3×3; this one is 2×7"):
        SPPFixed((6, 2, 7), K)
    with pytest.raises(UserError, match="this one is 2×2"):
        SPPFixed(SHAPE, K)(features((6, 2, 2)))


def test_on_a_1x1_map_the_pooled_heads_are_fc():
    """DESIGN, Heads: there, every head is `fc`."""
    x = features((6, 1, 1))
    fc = FC((6, 1, 1), K, hidden=[], dropout=0.0)
    for head in (GAP((6, 1, 1), K), GMP((6, 1, 1), K), SPP((6, 1, 1), K, levels=[1])):
        head.classifier.load_state_dict(fc.classifier.state_dict())
        torch.testing.assert_close(head(x), fc(x))


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        (FC, {"hidden": [0]}, "head.hidden"),
        (GAP, {"hidden": ["a"]}, "head.hidden"),
        (GAP, {"dropout": 1.0}, "head.dropout"),
        (NIN, {"dropout": -0.1}, "head.dropout"),
        (GeM, {"p": 0.0}, "head.p"),
        (GeM, {"eps": -1.0}, "head.eps takes a number above 0; got -1.0"),
        (GAP, {"hidden": [True]}, "head.hidden"),
        (SPP, {"levels": []}, "head.levels"),
        (SPP, {"levels": 3}, "head.levels"),
        (SPP, {"levels": [True]}, "head.levels"),
        (SPP, {"pool": "median"}, "head.pool"),
        (SPPF, {"kernel_size": 4}, "head.kernel_size"),
        (SPPF, {"kernel_size": True}, "head.kernel_size"),
        (SPPF, {"out_channels": 0}, "head.out_channels"),
        (SPPF, {"activation": "tanh"}, "head.activation"),
        (SPPFixed, {"windows": [0]}, "head.windows"),
        (SPPFixed, {"pool": "sum"}, "head.pool"),
        (LSE, {"r": 0.0}, "head.r takes a number above 0; got 0.0"),
        (Attn, {"queries": 0}, "head.queries takes a whole number of at least 1; got 0"),
    ],
)
def test_wrong_options_name_the_setting(head, options, message):
    with pytest.raises(UserError, match=message):
        head(SHAPE, K, **options)


@pytest.mark.parametrize("name", HEADS)
def test_bias_and_dropout_have_effect(name):
    without = HEADS[name](SHAPE, K, bias=False)
    assert not [n for n, _ in without.named_parameters() if n.endswith("bias")]
    dropping = HEADS[name](SHAPE, K, dropout=0.5).train()
    x = features()
    torch.manual_seed(0)
    first, second = dropping(x), dropping(x)
    assert not torch.equal(first, second)
    dropping.eval()
    torch.testing.assert_close(dropping(x), dropping(x), rtol=0, atol=0)


def test_heads_are_named_as_their_configs():
    assert names(lambda head: True).split(", ") == sorted(
        file.stem for file in (CONFIGS / "head").glob("*.yaml")
    )


@pytest.mark.parametrize("name", HEADS)
def test_the_last_layer_gives_the_logits(name):
    head = HEADS[name](SHAPE, K).eval()
    assert head.last_layer.weight.shape[0] == K
    with torch.no_grad():
        before = head(features())
        head.last_layer.weight.zero_()
        head.last_layer.bias.fill_(2.0)
    assert not torch.equal(head(features()), before)
    torch.testing.assert_close(head(features()), torch.full((3, K), 2.0))


def test_own_maps_have_no_last_layer():
    assert NIN((K, 4, 4), K, conv=False).last_layer is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", HEADS)
def test_gradients_repeat_on_cuda_under_deterministic_algorithms(name):
    from gapfc.engine.device import set_determinism

    set_determinism(True)
    try:
        head = HEADS[name]((64, 13, 13), 10).cuda().eval()
        x = torch.randn(32, 64, 13, 13, device="cuda").relu().requires_grad_()
        gradients = [torch.autograd.grad(head(x).square().sum(), x)[0] for _ in range(3)]
        assert all(torch.equal(gradients[0], other) for other in gradients[1:])
    finally:
        set_determinism(False)


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["max", "avg"])
def test_an_export_for_any_size_has_the_same_bins(pool):
    """Where sizes are symbols, bins are masks; levels above the map's size overlap there, too."""
    head = SPP(SHAPE, K, levels=[1, 3, 4], pool=pool).eval()
    free = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        head, (features((6, 9, 8)),), dynamic_shapes=({0: free, 2: free, 3: free},), strict=False
    ).module()
    for size in ((9, 8), (5, 7), (3, 2), (16, 11)):
        x = features((6, *size), batch=2)
        torch.testing.assert_close(program(x), head(x))
