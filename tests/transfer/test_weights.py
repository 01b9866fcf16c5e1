"""What is taken from a source's state, and what of it is refused."""

import pytest
import torch
from torch import nn

from gapfc.backbones import ConvNet
from gapfc.engine.device import choose_precision
from gapfc.errors import UserError
from gapfc.heads import FC, GAP, NIN, SPPF, GeM
from gapfc.model.classifier import Classifier
from gapfc.transfer.features import last_inputs
from gapfc.transfer.weights import extend_last_layer, last_layer, load_backbone, load_head

SHAPE = (6, 4, 4)
FP32 = choose_precision("fp32", torch.device("cpu"))


def model(head, seed=0, widths=(4, 6)):
    torch.manual_seed(seed)
    return Classifier(ConvNet(widths=widths, pool_after=(1,)), head)


def test_the_backbone_is_taken_with_its_statistics():
    source, target = model(GAP(SHAPE, 3), 1), model(GAP(SHAPE, 5), 2)
    source.backbone.get_submodule("stage1.norm").running_mean.fill_(0.5)
    load_backbone(target, source.state_dict(), "somewhere")
    for name, tensor in target.backbone.state_dict().items():
        assert torch.equal(tensor, source.backbone.state_dict()[name])


def test_another_architecture_is_named():
    source, target = model(GAP((7, 4, 4), 3), widths=(4, 7)), model(GAP(SHAPE, 5))
    with pytest.raises(UserError, match=r"somewhere are of another architecture.*stage2\.conv"):
        load_backbone(target, source.state_dict(), "somewhere")


@pytest.mark.parametrize(
    ("head", "last", "kept"),
    [
        (FC(SHAPE, 5, hidden=[7, 8]), "classifier.6", 4),
        (GAP(SHAPE, 5), "classifier.0", 0),
        (NIN(SHAPE, 5), "conv", 0),
        (GeM(SHAPE, 5), "classifier.0", 1),
        (SPPF(SHAPE, 5), "classifier", 4),
    ],
    ids=["fc", "gap", "nin", "gem", "sppf"],
)
def test_all_of_a_head_but_its_last_layer_is_kept(head, last, kept):
    options = {"hidden": [7, 8]} if isinstance(head, FC) else {}
    torch.manual_seed(9)
    source = type(head)(SHAPE, 3, **options)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter += 1
    before = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    state = {f"head.{name}": tensor for name, tensor in source.state_dict().items()}
    assert last_layer(head)[0] == last
    assert len(load_head(head, state, "somewhere")) == kept
    for name, tensor in head.state_dict().items():
        new = name.startswith(f"{last}.")
        assert torch.equal(tensor, before[name] if new else source.state_dict()[name])


def test_a_head_of_another_map_size_cannot_be_kept():
    state = {f"head.{n}": t for n, t in FC((6, 5, 5), 5).state_dict().items()}
    with pytest.raises(UserError, match=r"classifier\.0\.weight.*\[512, 96\].*\[512, 150\]"):
        load_head(FC(SHAPE, 5), state, "somewhere")


def test_a_head_without_parameters_has_no_last_layer():
    with pytest.raises(UserError, match=r"NIN.*nothing to solve"):
        last_layer(NIN(SHAPE, 6, conv=False))


class Own(nn.Module):
    """A head that says nothing of its last layer."""

    def __init__(self):
        super().__init__()
        self.first, self.spatial, self.last = nn.Linear(6, 4), nn.Conv2d(4, 4, 3), nn.Linear(4, 5)


class Reversed(Own):
    """A head that says which it is."""

    @property
    def last_layer(self):
        return self.first


def test_the_last_layer_of_a_head_of_ones_own():
    assert last_layer(Own())[0] == "last"
    assert last_layer(Reversed())[0] == "first"


def test_old_classes_keep_their_rows():
    head, source = GAP(SHAPE, 5), GAP(SHAPE, 2)
    before = last_layer(head)[1].weight.detach().clone()
    state = {f"head.{n}": t for n, t in source.state_dict().items()}
    extend_last_layer(head, state, [3, 0], "somewhere")
    weight = last_layer(head)[1].weight
    assert torch.equal(weight[[3, 0]], last_layer(source)[1].weight)
    assert torch.equal(weight[[1, 2, 4]], before[[1, 2, 4]])
    with pytest.raises(UserError, match=r"weight \[2, 6\].*3 classes need \[3, 6\]"):
        extend_last_layer(head, state, [0, 1, 2], "somewhere")


@pytest.mark.parametrize("head", [GAP(SHAPE, 5), NIN(SHAPE, 5, relu=False), SPPF(SHAPE, 5)])
def test_last_inputs_under_the_last_layer_are_the_models_logits(head):
    net = model(head)
    images = torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(7) % 5
    _, layer = last_layer(net.head)
    batches = list(zip(images.split(3), labels.split(3), strict=True))
    features, given = last_inputs(net, batches, layer, FP32)
    assert torch.equal(given, labels)
    assert net.training
    logits = features @ layer.weight.flatten(1).T + layer.bias
    assert torch.allclose(logits, net.eval()(images), atol=1e-5)
