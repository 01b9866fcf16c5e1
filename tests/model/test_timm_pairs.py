"""timm's families under every head: what a user does with each, from inspect to a trained model."""

import json

import pytest
from processes import start
from test_pairs import forward_and_backward, plain

from gapfc.errors import UserError
from gapfc.model.build import build
from gapfc.settings.compose import Composer

pytest.importorskip("timm", reason="needs timm: gapfc[timm]")

HEADS = Composer([]).groups()["head"]
# The smallest of each, and an image size at which its map is at least 3×3.
CHEAP = {"test_resnet": 96, "test_vit": 96, "test_convnext": 96}
FAMILIES = {
    "resnet10t": 96,
    "regnetx_002": 96,
    "efficientnet_lite0": 96,
    "mobilenetv3_small_050": 96,
    "convnext_atto": 96,
    "densenet121": 96,
    "vgg11": 96,
    "vit_tiny_patch16_224": 96,
    "swin_tiny_patch4_window7_224": 224,
    "deit_tiny_distilled_patch16_224": 96,
    "mixer_s32_224": 224,
    "poolformer_s12": 96,
    "ghostnet_050": 96,
    "rexnetr_100": 96,
    "dla46_c": 96,
    "hrnet_w18_small": 96,
    "cspresnet50": 96,
    "nfnet_l0": 96,
    "levit_128s": 224,
}
ALL = [*CHEAP.items(), *(pytest.param(*each, marks=pytest.mark.slow) for each in FAMILIES.items())]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("name", "side"), ALL)
def test_pair(name, side, head):
    model = build(plain("timm", head, f"backbone.name={name}"), 3, (side, side))
    forward_and_backward(model, (side, side))
    if head == "fc" and side != 224:
        with pytest.raises(UserError, match=r"head=fc was built for"):
            forward_and_backward(model, (side, side + 32))


def waited(*arguments, folder):
    """A command that has ended well, several heads later."""
    command = start(*arguments, folder=folder)
    command.process.join(800)
    assert command.wait() == 0, command.err
    return command


# Whole commands take long: with each family some of the heads, with each head some families.
SOME = [
    pytest.param(name, side, HEADS[number % 6 :: 6], marks=pytest.mark.slow)
    for number, (name, side) in enumerate(FAMILIES.items())
]


@pytest.mark.parametrize(("name", "side", "heads"), SOME)
def test_inspected_and_trained(name, side, heads, tmp_path):
    options = [
        f"backbone.name={name}", "backbone=timm", f"dataset.image_size={side}", "dataset=digits",
        "trainer.batch_size=2", "trainer.device=cpu", "trainer.precision=fp32",
    ]  # fmt: skip
    every = ",".join(heads)
    inspected = waited("inspect", f"head={every}", *options, "repeats=1", "--json", folder=tmp_path)
    rows = json.loads(inspected.out)
    assert [row["label"] for row in rows] == heads
    assert len({row["parameters"]["backbone"] for row in rows}) == 1
    waited(
        "train", "-m", f"head={every}", *options, "trainer.epochs=1", "dataset.train_limit=10",
        "dataset.val_limit=10", "dataset.test_limit=10", folder=tmp_path,
    )  # fmt: skip
    found = [json.loads(file.read_text()) for file in tmp_path.rglob("results.json")]
    assert sorted(result["head"] for result in found) == sorted(heads)
    assert {result["status"] for result in found} == {"completed"}
    assert {result["backbone"] for result in found} == {name}
