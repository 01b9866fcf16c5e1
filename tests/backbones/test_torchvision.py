"""torchvision's models, cut before pooling: the original's rest gives the original's logits."""

import pytest
import torch
import torchvision
from torch.nn import functional

from gapfc.backbones import Torchvision
from gapfc.errors import UserError

FAST = ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5"]
FAST += ["densenet121", "regnet_y_400mf", "googlenet", "swin_t", "efficientnet_b0", "convnext_tiny"]
# Of regnet_y_128gf, 645 million parameters, smaller ones of its family are enough.
ALL = [
    name
    for name in torchvision.models.list_models(torchvision.models)
    if not name.startswith("vit_") and name != "regnet_y_128gf"
]
SIZES = {"maxvit_t": (224, 224), "inception_v3": (107, 139)}


def rest(model, features):
    """What torchvision's own forward does after the last feature map, family by family."""
    match type(model).__name__:
        case "SqueezeNet" | "ConvNeXt" | "MaxVit":
            if hasattr(model, "avgpool"):
                features = model.avgpool(features)
            return model.classifier(features).flatten(1)
        case "AlexNet" | "VGG":
            return model.classifier(model.avgpool(features).flatten(1))
        case "DenseNet" | "EfficientNet" | "MobileNetV2" | "MobileNetV3" | "MNASNet":
            return model.classifier(features.mean((2, 3)))
        case "ResNet" | "RegNet" | "GoogLeNet" | "Inception3" | "ShuffleNetV2":
            return model.fc(features.mean((2, 3)))
        case "SwinTransformer":
            return model.head(features.mean((2, 3)))
    raise AssertionError(f"a new family: {type(model).__name__}")


def original(architecture):
    """The whole model with random weights, in eval mode."""
    torch.manual_seed(0)
    inception = architecture in ("googlenet", "inception_v3")
    options = {"init_weights": True, "transform_input": True} if inception else {}
    return torchvision.models.get_model(architecture, weights=None, **options).eval()


def settle_batch_norms(model, images):
    """Let the running statistics be those of `images`, or their signal dies on the way."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        model(images)
    model.eval()


def check_logits(architecture, tmp_path):
    model = original(architecture)
    images = torch.randn(3, 3, *SIZES.get(architecture, (64, 96)))
    settle_batch_norms(model, images)
    file = tmp_path / "weights.pth"
    torch.save(model.state_dict(), file)
    try:
        backbone = Torchvision(architecture, weights=str(file)).eval()
    finally:
        file.unlink()  # up to 2.6 GB
    with torch.no_grad():
        expected, actual = model(images), rest(model, backbone(images))
    assert expected.isfinite().all()
    scale = expected.abs().max().item()
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * scale  # the images matter
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-5 * scale)


@pytest.mark.parametrize("architecture", FAST)
def test_logits(architecture, tmp_path):
    check_logits(architecture, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [name for name in ALL if name not in FAST])
def test_logits_of_every_other_model(architecture, tmp_path):
    check_logits(architecture, tmp_path)


def test_stages_are_runs_of_one_resolution():
    features = {}
    backbone = Torchvision("swin_t").eval()
    for name in backbone.stages:
        backbone.get_submodule(name).register_forward_hook(
            lambda _module, _input, output, name=name: features.update({name: output.shape[1:]})
        )
    backbone(torch.randn(1, 3, 64, 96))
    assert list(features.values()) == [(96, 16, 24), (192, 8, 12), (384, 4, 6), (768, 2, 3)]


def test_densenet_keeps_its_last_relu():
    features = Torchvision("densenet121").eval()(torch.randn(1, 3, 64, 64))
    assert features.min() == 0 < features.max()


def test_images_are_as_inceptions_had_them_with_weights_and_when_a_run_is_loaded(tmp_path):
    anew = Torchvision("googlenet").eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(anew.stage1.rescale(images), images)
    torch.save(original("googlenet").state_dict(), tmp_path / "weights.pth")
    backbone = Torchvision("googlenet", weights=str(tmp_path / "weights.pth")).eval()
    # Black and white, normalised as for ImageNet, become -1 and 1.
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = torch.stack([(0 - mean) / std, (1 - mean) / std])[:, :, None, None]
    expected = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    torch.testing.assert_close(backbone.stage1.rescale(pixels), expected)
    # As `rebuild` does it: without the file.
    anew.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        assert torch.equal(anew(images), backbone.eval()(images))


def test_unknown_name_gives_close_ones():
    with pytest.raises(UserError, match=r"name=resnet_50: .* Did you mean .*resnet50"):
        Torchvision("resnet_50")
    with pytest.raises(UserError, match=r"name=qqqq: .* Some: alexnet"):
        Torchvision("qqqq")


def test_detection_models_are_no_classification_models():
    with pytest.raises(UserError, match="no such classification model"):
        Torchvision("fasterrcnn_resnet50_fpn")


def test_vision_transformers_have_no_feature_map():
    with pytest.raises(UserError, match=r"vit_b_32: .* no feature map .* swin_t"):
        Torchvision("vit_b_32")


def test_too_small_and_fixed_sizes():
    with pytest.raises(UserError, match=r"16 x 16 are too small for backbone alexnet"):
        Torchvision("alexnet")(torch.randn(1, 3, 16, 16))
    with pytest.raises(UserError, match=r"224 x 224 only, these are 64 x 96.*image_size=224"):
        Torchvision("maxvit_t")(torch.randn(1, 3, 64, 96))


SMALL = {  # what 32 x 32 images give under stem=small; first seven: only the first two halvings go
    "resnet18": 4,
    "densenet121": 4,
    "efficientnet_b0": 4,
    "mobilenet_v3_small": 4,
    "shufflenet_v2_x1_0": 4,
    "regnet_y_400mf": 4,
    "vgg11": 4,
    "alexnet": 5,
    "squeezenet1_1": 7,
    "convnext_tiny": 7,
    "swin_t": 4,
    "googlenet": 4,
    "inception_v3": 5,
}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", SMALL)
def test_small_stem_keeps_small_images(architecture):
    backbone = Torchvision(architecture, stem="small")
    assert backbone.training
    features = backbone(torch.randn(2, 3, 32, 32))
    assert features.shape[2:] == (SMALL[architecture],) * 2
    features.square().mean().backward()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [n for n in ALL if n not in SMALL and n != "maxvit_t"])
def test_small_stem_of_every_other_model(architecture):
    backbone = Torchvision(architecture, stem="small").eval()
    with torch.no_grad():
        assert min(backbone(torch.randn(1, 3, 32, 32)).shape[2:]) >= 4


def test_small_stem_of_resnet_is_stride_one_without_pool():
    torch.manual_seed(0)
    usual = Torchvision("resnet18").eval()
    torch.manual_seed(0)
    small = Torchvision("resnet18", stem="small").eval()
    own, other = small.state_dict(), usual.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[key], other[key]) for key in own)
    images = torch.randn(1, 3, 32, 32)
    conv, norm = usual.stage1.conv1, usual.stage1.bn1
    expected = functional.conv2d(images, conv.weight, stride=1, padding=3)
    expected = norm(expected).relu()
    for stage in (usual.stage2.layer1, usual.stage3, usual.stage4, usual.stage5):
        expected = stage(expected)
    assert torch.equal(small(images), expected)


def test_small_stem_that_cannot_be_had():
    with pytest.raises(UserError, match=r"stem=small: maxvit_t cannot"):
        Torchvision("maxvit_t", stem="small")
    with pytest.raises(UserError, match=r"stem takes imagenet or small; got cifar"):
        Torchvision("resnet18", stem="cifar")
