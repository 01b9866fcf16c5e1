"""Optimiser groups, mixing, precision."""

import copy
import os
import signal

import pytest
import torch
from torch import nn

from gapfc.engine.device import choose_device, choose_precision
from gapfc.engine.mixing import Mixing
from gapfc.engine.optimizer import build_optimizer, set_learning_rate
from gapfc.engine.training import averaged
from gapfc.errors import UserError
from gapfc.heads import GAP
from gapfc.model.classifier import Classifier
from gapfc.system.interruption import Interrupted, Interruption

SGD = {"_target_": "torch.optim.SGD", "name": "sgd", "lr": 0.1, "weight_decay": 0.01}
ADAMW = {"_target_": "torch.optim.AdamW", "name": "adamw", "lr": 0.01, "weight_decay": 0.1}


def model():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return Classifier(backbone, GAP((4, 6, 6), 3))


def test_only_matrices_and_kernels_are_decayed():
    net = model()
    optimizer = build_optimizer(net, SGD, {})
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] > 0 for p in g["params"]}
    names = {n for n, p in net.named_parameters() if id(p) in decayed}
    assert names == {"backbone.0.weight", "head.classifier.0.weight"}
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(net.parameters()))


def test_the_head_learns_at_a_rate_of_its_own():
    net = model()
    optimizer = build_optimizer(net, SGD, {"head": 10.0})
    set_learning_rate(optimizer, 0.5)
    head = {id(p) for p in net.head.parameters()}
    for group in optimizer.param_groups:
        expected = 0.5 if id(group["params"][0]) in head else 0.05
        assert group["lr"] == pytest.approx(expected)


def test_frozen_parameters_are_not_in_the_optimizer():
    net = model()
    net.freeze([net.backbone])
    optimizer = build_optimizer(net, SGD, {})
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {
        id(p) for p in net.head.parameters()
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"_target_": "torch.optim.SDG", "lr": 0.1}, "_target_=torch.optim.SDG"),
        ({"_target_": "torch.optim.SGD", "lr": 0.1, "momentun": 0.9}, "momentun"),
        ({"_target_": "torch.optim.SGD", "lr": -1.0}, "learning rate"),
        ({"_target_": "torch.optim.LBFGS", "lr": 1.0}, "LBFGS"),
    ],
)
def test_wrong_optimizers_are_explained(options, message):
    with pytest.raises(UserError, match=message):
        build_optimizer(model(), options, {})


def test_any_optimizer_of_torch():
    for name in ("RMSprop", "Adagrad", "NAdam"):
        optimizer = build_optimizer(model(), {"_target_": f"torch.optim.{name}", "lr": 0.1}, {})
        assert type(optimizer).__name__ == name


def test_mixup_is_the_convex_combination():
    images, labels = torch.randn(6, 3, 4, 4), torch.arange(6)
    mixed, partners, weight = Mixing(mixup=1.0)(images, labels, (0, 0, 0))
    assert 0 < weight < 1
    assert partners.tolist() == [5, 4, 3, 2, 1, 0]
    torch.testing.assert_close(mixed, weight * images + (1 - weight) * images.flip(0))


def test_cutmix_weighs_labels_by_what_is_seen():
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 20, 30).contiguous()
    for batch in range(20):
        mixed, _, weight = Mixing(cutmix=1.0)(images, torch.arange(4), (0, 0, batch))
        kept = (mixed == images).float().mean().item()
        assert kept == pytest.approx(weight, abs=1e-6)
        assert set(mixed[0].unique().tolist()) <= {0.0, 3.0}


def test_mixing_depends_on_its_key_alone():
    images, labels = torch.randn(4, 3, 8, 8), torch.arange(4)
    mixing = Mixing(mixup=0.5, cutmix=1.0)
    torch.manual_seed(1)
    first = mixing(images, labels, (3, 1, 7))
    torch.manual_seed(2)
    second = mixing(images, labels, (3, 1, 7))
    assert torch.equal(first[0], second[0])
    assert first[2] == second[2]
    assert first[2] != mixing(images, labels, (3, 1, 8))[2]
    assert not Mixing()


def test_precision_and_device_words():
    cpu = torch.device("cpu")
    assert choose_precision("fp32", cpu).name == "fp32"
    assert choose_precision("auto", cpu).name in ("fp32", "bf16")
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        choose_precision("fp16", cpu)
    with pytest.raises(UserError, match="auto, fp32, bf16 or fp16"):
        choose_precision("float", cpu)
    with pytest.raises(UserError, match="auto, cpu or cuda"):
        choose_device("gpu")


def test_bf16_computes_in_bf16_and_keeps_weights_in_fp32():
    precision = choose_precision("bf16", torch.device("cpu"))
    layer = nn.Linear(4, 4)
    with precision.autocast():
        assert layer(torch.randn(2, 4)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32


def test_ema_follows_its_formula():
    net = model()
    ema = averaged(net, 0.9)
    expected = None
    for step in range(4):
        for p in net.parameters():
            p.data.add_(1.0)
        ema.update_parameters(net)
        value = net.head.classifier[0].weight.detach().clone()
        expected = value if step == 0 else 0.9 * expected + 0.1 * value
    torch.testing.assert_close(ema.module.head.classifier[0].weight.detach(), expected)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_waits_for_the_check(signum, code):
    with Interruption() as interruption:
        interruption.check()
        os.kill(os.getpid(), signum)
        with pytest.raises(Interrupted) as raised:
            interruption.check()
    assert raised.value.exit_code == code


def test_a_second_sigint_stops_at_once_and_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("options", [SGD | {"momentum": 0.9, "nesterov": True}, ADAMW])
def test_the_fused_step_is_the_same_formula(options):
    """In both memory formats: a fused kernel walks parameter, gradient and state in one order."""

    def stepped(fused, layout, again):
        torch.manual_seed(0)
        # No batch norm: the gradient of a bias before one is rounding noise, which Adam blows up.
        backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        net = Classifier(backbone, GAP((4, 6, 6), 3)).to(memory_format=layout)
        optimizer = build_optimizer(net, options | {"fused": fused}, {"head": 2.0})
        for step in range(4):
            if step == 2 and again:
                state = copy.deepcopy(optimizer.state_dict())
                optimizer = build_optimizer(net, options | {"fused": fused}, {"head": 2.0})
                optimizer.load_state_dict(state)
            images = torch.rand(4, 3, 8, 8).to(memory_format=layout)
            nn.functional.cross_entropy(net(images), torch.tensor([0, 1, 2, 0])).backward()
            optimizer.step()
            optimizer.zero_grad()
        return [p.detach().clone() for p in net.parameters()]

    expected = stepped(False, torch.contiguous_format, False)
    for layout in (torch.contiguous_format, torch.channels_last):
        for again in (False, True):
            torch.testing.assert_close(stepped(True, layout, again), expected)
