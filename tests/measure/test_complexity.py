"""Counts against their closed forms."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gapfc.measure.complexity import count_parameters, macs
from gapfc.model.build import build
from gapfc.settings.compose import Composer
from gapfc.settings.nodes import plain


@pytest.fixture
def model():
    backbone = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1, groups=4, bias=False),
        nn.Dropout(0.5),
    )
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
    return backbone, head


def test_macs_are_the_closed_form(model):
    # 9x14 -> 5x7 after the stride. Convolution: positions x kernel x in/groups x out.
    convolutions = 5 * 7 * 9 * 3 * 8 + 5 * 7 * 9 * (8 // 4) * 16
    assert macs(*model, (3, 9, 14)) == {
        "backbone": convolutions,
        "head": 16 * 5,
        "total": convolutions + 16 * 5,
    }


def test_pooling_first_is_cheaper(model):
    backbone, gap = model
    nin = nn.Conv2d(16, 5, 1)
    assert macs(backbone, nin, (3, 8, 8))["head"] == 16 * macs(backbone, gap, (3, 8, 8))["head"]


def test_a_head_without_parameters_costs_nothing(model):
    assert macs(model[0], nn.Identity(), (3, 8, 8))["head"] == 0


def test_bfloat16(model):
    expected = macs(*model, (3, 8, 8))
    assert macs(model[0].bfloat16(), model[1].bfloat16(), (3, 8, 8)) == expected


def test_leaves_everything_as_it_was(model):
    backbone, head = model
    backbone.train()
    backbone[1].eval()  # a frozen norm in a training backbone
    modes = [m.training for m in backbone.modules()]
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    macs(backbone, head, (3, 8, 8))
    assert torch.equal(torch.rand(4), expected)
    assert [m.training for m in backbone.modules()] == modes
    assert all(torch.equal(before[k], v) for k, v in backbone.state_dict().items())
    assert all(p.grad is None for p in backbone.parameters())


def test_modes_return_after_an_error(model):
    model[0].train()
    with pytest.raises(RuntimeError):
        macs(model[0], nn.Linear(7, 2), (3, 8, 8))
    assert model[0][4].training


def test_parameters(model):
    backbone, _ = model
    total = (3 * 9 * 8 + 8) + 2 * 8 + (2 * 9 * 16)
    assert count_parameters(backbone) == (total, total)
    backbone[0].requires_grad_(False)
    assert count_parameters(backbone) == (total, total - (3 * 9 * 8 + 8))


def test_a_shared_parameter_counts_once():
    layer = nn.Linear(4, 4)
    assert count_parameters(nn.Sequential(layer, layer)) == (20, 20)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda(model):
    expected = macs(*model, (3, 8, 8))
    torch.cuda.manual_seed(5)
    drawn = torch.rand(3, device="cuda")
    torch.cuda.manual_seed(5)
    assert macs(model[0].cuda(), model[1].cuda(), (3, 8, 8)) == expected
    assert torch.equal(torch.rand(3, device="cuda"), drawn)


@pytest.mark.parametrize(
    ("backbone", "size"),
    [
        ("convnet", 32),
        ("resnet_cifar", 32),
        *(
            pytest.param(f"torchvision backbone.name={name}", 224, marks=pytest.mark.slow)
            for name in ("squeezenet1_1", "swin_t", "swin_v2_t", "maxvit_t")
        ),
    ],
)
def test_agrees_with_the_counter_of_torch(backbone, size):
    composer = Composer([])
    group, *more = backbone.split()
    for head in ("fc", "nin", "sppf") if group != "torchvision" else ("gap",):
        nodes = plain(composer.compose("train", [f"backbone={group}", f"head={head}", *more]))
        model = build(nodes, 10, (size, size), seed=0).eval()
        image = torch.zeros(1, 3, size, size)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
        found = macs(model.backbone, model.head, (3, size, size))
        assert found["total"] * 2 == counter.get_total_flops()
        assert found["total"] > 0
