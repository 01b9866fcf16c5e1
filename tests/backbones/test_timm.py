"""timm's models, cut before their pooling: features are those of timm's own forward_features."""

import sys

import pytest
import torch
from torch import nn

from gapfc.backbones import build_timm
from gapfc.backbones.stages import Stages
from gapfc.errors import UserError
from gapfc.measure.cka import Representations
from gapfc.model.build import build

timm = pytest.importorskip("timm", reason="needs timm: gapfc[timm]")
from gapfc.backbones.timm_backbone import TimmWhole  # noqa: E402 (imports timm)
from gapfc.backbones.timm_trace import varied_constants  # noqa: E402 (the same)

# (name, sides of images, whether its parts are a chain, its number of stages): a family each.
CHEAP = [
    ("test_resnet", (96, 64), True, 5),
    ("test_vit", (96, 64), True, 7),
    ("test_convnext", (96, 64), True, 4),
]
# What each can do that the three can't: channels last, fixed size, two prefix tokens, registers, no
# prefix, hybrid, branches, tokens without a chain, blocks with more than tokens, tuples between.
OTHERS = [
    ("regnetx_002", (96, 64), True, 5),
    ("tf_efficientnet_lite0", (96, 64), True, 5),
    ("mobilenetv3_small_050", (96, 64), True, 5),
    ("densenet121", (96, 64), True, 5),
    ("vgg11", (96, 64), True, 5),
    ("swin_tiny_patch4_window7_224", (224, 224), True, 4),
    ("deit_tiny_distilled_patch16_224", (224, 224), True, 13),
    ("mixer_s32_224", (224, 224), True, 9),
    ("poolformer_s12", (96, 64), True, 4),
    ("ghostnet_050", (96, 64), True, 5),
    ("rexnetr_100", (96, 64), True, 5),
    ("dla46_c", (96, 64), True, 6),
    ("hrnet_w18_small", (96, 64), False, 5),
    ("cspresnet50", (96, 64), True, 5),
    ("nfnet_l0", (96, 64), True, 5),
    ("levit_128s", (224, 224), False, 3),
    ("eva02_tiny_patch14_224", (112, 84), False, 12),
    ("vit_small_patch14_reg4_dinov2", (112, 84), True, 13),
    ("vitamin_small_224", (112, 96), True, 15),
    ("vit_tiny_r_s16_p8_224", (96, 64), True, 13),
    ("cait_xxs24_224", (224, 224), False, 24),
    ("xcit_nano_12_p16_224", (96, 64), False, 14),
    ("mvitv2_tiny", (96, 64), False, 4),
    ("twins_svt_small", (96, 64), False, 26),
    ("mambaout_femto", (96, 64), True, 4),
    ("inception_v3", (107, 139), True, 7),
    ("inception_next_atto", (96, 64), True, 4),
    ("selecsls42b", (96, 64), False, 3),
    ("efficientvit_b0", (96, 64), True, 5),
]
MODELS = [*CHEAP, *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHERS)]


def original(name):
    """The model as its weights have it, with its classifier."""
    torch.manual_seed(1)
    return timm.create_model(name, num_classes=7).eval()


@pytest.mark.parametrize(("name", "size", "chain", "stages"), MODELS)
def test_features_are_timms_own(name, size, chain, stages, tmp_path):
    try:
        model = timm.create_model(name, num_classes=0, global_pool="", dynamic_img_size=True)
    except (AssertionError, TypeError):
        model = timm.create_model(name, num_classes=0)
    model.eval()
    images = torch.randn(2, 3, *size)
    # Nothing that a part adds may be zero, or a missing one would not show.
    with varied_constants(model):
        torch.save(model.state_dict(), tmp_path / "weights.pth")
        with torch.no_grad():
            expected = model.forward_features(images)
    backbone = build_timm(name, str(tmp_path / "weights.pth")).eval()
    first = backbone.rescale if isinstance(backbone, TimmWhole) else backbone[0].rescale
    first.set((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # the images are what the model saw
    with torch.no_grad():
        features = backbone(images)
    if expected.ndim == 3:
        height, width = features.shape[2:]
        expected = expected[:, -height * width :].mT.unflatten(2, (height, width))
    elif expected.shape[1] != features.shape[1]:
        expected = expected.permute(0, 3, 1, 2)
    scale = expected.abs().max().item()
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5 * scale)
    assert isinstance(backbone, Stages) == chain
    assert (backbone.stages == tuple(dict(backbone.named_children()))) == chain
    assert len(backbone.stages) == stages
    assert (features.shape[2] >= features.shape[3]) == (size[0] >= size[1])


@pytest.mark.parametrize(("name", "size", "chain", "stages"), MODELS)
def test_every_parameter_is_needed_and_the_last_stage_is_trained(name, size, chain, stages):
    config = {
        "backbone": {"_target_": "gapfc.backbones.build_timm", "architecture": name},
        "head": {"_target_": "gapfc.heads.GAP", "name": "gap"},
    }
    config["backbone"]["trainable"] = "last"
    model = build(config, 3, size)
    backbone = model.backbone
    last = backbone.get_submodule(backbone.stages[-1])
    trained = {id(p) for p in backbone.parameters() if p.requires_grad}
    assert trained == {id(p) for p in last.parameters()} != set()
    model.freeze([])
    backbone.requires_grad_(True)
    model(torch.randn(4, 3, *size)).square().sum().backward()
    without = {n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()}
    # A table of biases of which this size needs a part, a block that starts as nothing: some may
    # be zero, but of each stage something is not.
    unreached = {n for n, p in backbone.named_parameters() if p.grad is None}
    assert all("blocks_token_only" in n for n in unreached), unreached  # CaiT's class token alone
    for stage in backbone.stages:
        names = {f"{stage}.{n}" for n, _ in backbone.get_submodule(stage).named_parameters()}
        assert names - without, stage


def test_stages_can_be_run_one_after_another_and_cka_sees_each():
    backbone = build_timm("test_vit").eval()
    images = torch.randn(6, 3, 64, 96)
    with torch.no_grad():
        at = images
        for stage in backbone:
            at = stage(at)
        torch.testing.assert_close(at, backbone(images), rtol=0, atol=0)
    assert at.shape == (6, 64, 4, 6)
    seen = Representations(backbone, backbone.stages, [images])
    nn.init.normal_(backbone.block4.block.mlp.fc2.weight)
    found = seen.cka()
    assert list(found) == ["embed", *(f"block{n}" for n in range(1, 7))]
    assert found["block3"] == 1.0
    assert found["block4"] < 0.999


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("mvitv2_tiny", (64, 96)),
        ("eva02_tiny_patch14_224", (112, 112)),
        ("hrnet_w18_small", (64, 96)),
    ],
)
def test_cka_of_models_that_are_no_chain(name, size):
    backbone = build_timm(name)
    seen = Representations(backbone, backbone.stages, [torch.randn(5, 3, *size)])
    assert set(seen.cka().values()) == {1.0}


def test_a_network_built_anew_sees_images_as_the_weights_do(tmp_path):
    """What `gapfc predict` does: random weights, then those of the run, rescaling and all."""
    torch.save(original("test_vit").state_dict(), tmp_path / "weights.pth")
    trained = build_timm("test_vit", str(tmp_path / "weights.pth")).eval()
    assert not torch.equal(trained.embed.rescale.scale, torch.ones(3, 1, 1))
    anew = build_timm("test_vit").eval()
    assert torch.equal(anew.embed.rescale.scale, torch.ones(3, 1, 1))
    anew.load_state_dict(trained.state_dict())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(anew(images), trained(images), rtol=0, atol=0)


def test_images_are_rescaled_to_the_weights_own_mean_and_deviation(tmp_path):
    torch.save(original("test_vit").state_dict(), tmp_path / "weights.pth")
    backbone = build_timm("test_vit", str(tmp_path / "weights.pth"))
    own = timm.get_pretrained_cfg("test_vit")
    assert own.mean == (0.5, 0.5, 0.5)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = torch.tensor([0.0, 0.25, 1.0])[:, None].expand(3, 3)
    found = backbone.embed.rescale(((pixels - mean) / std)[:, :, None, None])[:, :, 0, 0]
    torch.testing.assert_close(found, (pixels - 0.5) / torch.tensor(own.std))


def test_small_stem_keeps_small_images():
    for name in ("test_resnet", "test_convnext"):
        features = build_timm(name, stem="small")(torch.randn(2, 3, 32, 32))
        assert min(features.shape[2:]) >= 4
    for name in ("test_vit", "hrnet_w18_small"):
        with pytest.raises(UserError, match=rf"stem=small: {name} cannot be made"):
            build_timm(name, stem="small")
    with pytest.raises(UserError, match=r"stem takes imagenet or small; got cifar"):
        build_timm("test_resnet", stem="cifar")


def test_what_is_exported_for_one_size_alone():
    """torch.export does not come to an end with tables of positions that fit any size."""
    sizes = {name: build_timm(name).image_size for name, *_ in CHEAP}
    assert sizes == {"test_resnet": None, "test_vit": 160, "test_convnext": None}


def test_names_that_timm_does_not_have():
    with pytest.raises(UserError, match=r"name=resnet_50: timm .* no such model; did you mean res"):
        build_timm("resnet_50")
    with pytest.raises(UserError, match=r"name=qqqqqqqq: timm .* no such model\. Some: "):
        build_timm("qqqqqqqq")
    with pytest.raises(
        UserError, match=r"no such weights of resnet18\. It has .*a1_in1k.*=resnet18 is"
    ):
        build_timm("resnet18.nope")
    for stranger in ("hf-hub:someone/else", "local-dir:/tmp"):  # names alone, nothing from a hub
        with pytest.raises(UserError, match="no such model"):
            build_timm(stranger)


def test_models_without_a_map_and_images_that_do_not_fit():
    with pytest.raises(UserError, match=r"name=pit_ti_224: .* no feature map"):
        build_timm("pit_ti_224")
    backbone = build_timm("test_vit").eval()
    with pytest.raises(UserError, match=r"test_vit does not take images of 40×40: .*=160, or"):
        backbone(torch.randn(1, 3, 40, 40))
    with pytest.raises(UserError, match=r"224×224: set dataset.image_size=224"):
        build_timm("gmlp_ti16_224").eval()(torch.randn(1, 3, 64, 64))


def test_class_tokens_are_mentioned_once(caplog):
    from gapfc.backbones.timm_backbone import _say_prefix

    _say_prefix.cache_clear()
    with caplog.at_level("INFO"):
        build_timm("test_vit")
        build_timm("test_vit")
        build_timm("test_resnet")
    said = [message for message in caplog.messages if "token" in message]
    assert said == ["test_vit: the head sees the map of its patches, without the class token"]


def test_without_timm_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r'pip install "gapfc\[timm\]"'):
        build_timm("resnet10t")
