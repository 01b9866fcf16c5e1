"""Attention pooling against torch's own multi-head attention, and its maps against its logits."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gapfc.heads import GAP, Attn
from gapfc.measure.activation_map import class_activation_map

SHAPE = (6, 5, 7)
K = 4


def features(shape=SHAPE, batch=3, seed=0):
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(seed))


def drawn(**options):
    """A head whose queries are not zero."""
    torch.manual_seed(1)
    head = Attn(SHAPE, K, **options).eval()
    nn.init.normal_(head.queries, std=3)
    return head


def test_it_starts_as_average_pooling():
    x = features()
    means = GAP(SHAPE, K).pool(x)
    torch.testing.assert_close(Attn(SHAPE, K, queries=3).pool(x), means.repeat(1, 3))


def test_each_query_is_torchs_attention():
    head, x = drawn(queries=2), features()
    cells = x.flatten(2).mT  # [B, H·W, C]
    queries = head.queries.expand(3, 2, 6)
    expected = F.scaled_dot_product_attention(queries, cells, cells)  # divides by √C as well
    torch.testing.assert_close(head.pool(x), expected.flatten(1))


def test_multi_head_attention_of_one_query_is_this_head():
    """Key, value and output projections fold into queries and Linear (the class's docstring)."""
    torch.manual_seed(0)
    heads, x = 3, features()
    torchs = nn.MultiheadAttention(6, heads, batch_first=True).eval()
    query, linear = torch.randn(1, 1, 6), nn.Linear(6, K)
    cells = x.flatten(2).mT
    expected = linear(torchs(query.expand(3, 1, 6), cells, cells)[0][:, 0])

    head = Attn(SHAPE, K, queries=heads).eval()
    w_q, w_k, w_v = (w.unflatten(0, (heads, 2)) for w in torchs.in_proj_weight.chunk(3))
    b_q, _, b_v = (b.unflatten(0, (heads, 2)) for b in torchs.in_proj_bias.chunk(3))
    with torch.no_grad():
        projected = torch.einsum("hdc,c->hd", w_q, query[0, 0]) + b_q
        # torch divides by the root of a head's width, this head by the root of all channels.
        head.queries.copy_(torch.einsum("hd,hdc->hc", projected, w_k) / 2**0.5 * 6**0.5)
        out = torchs.out_proj.weight.unflatten(1, (heads, 2))
        folded = torch.einsum("kc,chd,hde->khe", linear.weight, out, w_v)
        head.last_layer.weight.copy_(folded.flatten(1))
        constant = torch.einsum("chd,hd->c", out, b_v) + torchs.out_proj.bias
        head.last_layer.bias.copy_(linear(constant))
        torch.testing.assert_close(head(x), expected, rtol=1e-4, atol=1e-5)


def test_positions_are_a_set():
    head, x = drawn(), features()
    order = torch.randperm(35, generator=torch.Generator().manual_seed(0))
    shuffled = x.flatten(2)[:, :, order].unflatten(2, (7, 5))
    torch.testing.assert_close(head(shuffled), head(x))


def test_a_far_query_takes_one_position():
    head, x = drawn(queries=1), features()
    with torch.no_grad():
        head.queries.copy_(torch.eye(6)[:1] * 1e4)  # where the first channel is largest
    place = x[:, 0].flatten(1).argmax(1)
    torch.testing.assert_close(head.pool(x), x.flatten(2)[torch.arange(3), :, place])


@pytest.mark.parametrize("bias", [True, False])
def test_the_means_of_its_maps_are_its_logits(bias):
    head, x = drawn(bias=bias), features()
    maps = head.maps(x)
    assert maps.shape == (3, K, 5, 7)
    torch.testing.assert_close(maps.mean((2, 3)), head(x))
    if not bias:  # nothing is moved between positions: what is not there adds nothing
        x[:, :, 2, 3] = 0
        torch.testing.assert_close(head.maps(x)[:, :, 2, 3], torch.zeros(3, K))


def test_its_activation_map_is_its_own_unless_layers_are_between():
    head, x = drawn(), features()
    chosen = torch.tensor([0, 1, 2])
    found = class_activation_map(nn.Identity(), head, x, chosen)
    own = head.maps(x)[torch.arange(3), chosen].relu()
    torch.testing.assert_close(found, own / own.amax((1, 2), keepdim=True))
    deep = drawn(hidden=[5])
    assert not hasattr(deep, "maps")
    assert class_activation_map(nn.Identity(), deep, x, chosen).shape == (3, 5, 7)
