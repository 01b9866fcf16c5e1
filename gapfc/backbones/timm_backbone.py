"""Any of timm's models, cut before its pooling (github.com/huggingface/pytorch-image-models)."""

import logging
from functools import cache
from typing import Any, NoReturn, cast

import timm
import torch
from torch import Tensor, nn

from gapfc.backbones.rescale import Rescale
from gapfc.backbones.stages import Stages
from gapfc.backbones.timm_cut import cut, names_of_stages
from gapfc.backbones.timm_trace import NoMap, Trace, trace, varied_constants
from gapfc.backbones.timm_weights import AFTER, fitted, load, read_weights
from gapfc.backbones.torchvision_trunk import keep_small_images
from gapfc.errors import UserError
from gapfc.formatting import did_you_mean, first_line, printable, times
from gapfc.validators import one_of

log = logging.getLogger(__name__)

# As the head is to have the map, and a transformer any size of images: as far as a model has it.
_OPTIONS: tuple[dict[str, Any], ...] = (
    {"global_pool": "", "dynamic_img_size": True},
    {"global_pool": ""},
    {"dynamic_img_size": True},
    {},
)


def build(name: str, weights: str | None, stem: str) -> nn.Module:
    """As `gapfc.backbones.build_timm`, which see; `name` is its `architecture`."""
    _check_name(name)
    one_of("backbone.stem", stem, ("imagenet", "small"))
    state = None if weights is None else read_weights(weights, name)
    model = _create(name)
    config: dict[str, Any] = cast(Any, model).pretrained_cfg
    made_for = tuple(config["input_size"][1:])
    if state is not None:
        state = fitted(state, model)
    with varied_constants(model):
        seen = _trace(model, name, made_for)
        for part in AFTER - seen.ran:
            if isinstance(getattr(model, part, None), nn.Module):
                setattr(model, part, nn.Identity())
        own = model.state_dict(keep_vars=True)
        stages = cut(model, seen)
    rescale = Rescale()
    if weights is not None and state is not None:
        load(own, state, config, source=weights)
        rescale.set(config["mean"], config["std"])
    if seen.grid is not None and seen.grid.prefix:
        _say_prefix(name, seen.grid.prefix)
    # torch.export does not come to an end with tables of positions that fit any size.
    one_size = made_for[0] if seen.grid is not None or config.get("fixed_input_size") else None
    if stages is None:
        if stem == "small":
            _refuse_small(name)
        whole = TimmWhole(name, made_for, rescale, model, seen)
        whole.image_size = one_size
        return whole
    first = next(iter(stages))
    stages[first] = _with_rescale(rescale, stages[first])
    backbone = TimmStages(name, stages)
    backbone.made_for, backbone.image_size = made_for, one_size
    if stem == "small":
        try:
            keep_small_images(backbone)
        except RuntimeError:  # parts that no longer fit each other, as blurs that keep their stride
            _refuse_small(name)
    return backbone


class TimmStages(Stages):
    """A timm model as stages that run one after another.

    Attributes:
        made_for: (h, w) of the images of its weights.
        image_size: None if it can be exported for any; else the side of those.
    """

    made_for: tuple[int, ...] = ()
    image_size: int | None = None

    def forward(self, images: Tensor) -> Tensor:
        """images: `[B, 3, h, w]` -> features: `[B, C, H, W]`."""
        try:
            return super().forward(images)
        except (AssertionError, RuntimeError, ValueError) as error:
            _refuse_size(error, images, self.label, self.made_for)


class TimmWhole(nn.Module):
    """A timm model whose parts are no chain, such as HRNet's branches, run as timm runs it.

    images: `[B, 3, h, w]` -> features: `[B, C, H, W]`. `stages` names parts of it in forward order:
    of each resolution the largest, or a transformer's blocks. Their outputs may be tokens, and the
    last may be followed by a norm. CaiT's and VOLO's last blocks, which only make the class token,
    run for nothing.
    """

    def __init__(
        self,
        label: str,
        made_for: tuple[int, ...],
        rescale: Rescale,
        network: nn.Module,
        seen: Trace,
    ) -> None:
        super().__init__()
        self.label = label
        self.made_for = made_for
        self.image_size: int | None = None
        self.rescale = rescale
        self.network = network
        self.grid = seen.grid
        self.channels_last = seen.channels_last
        self.stages: tuple[str, ...] = tuple(
            f"network.{name}" for name in names_of_stages(network, seen)
        )

    def forward(self, images: Tensor) -> Tensor:
        """images: `[B, 3, h, w]` -> features: `[B, C, H, W]`."""
        try:
            features: Tensor = cast(Any, self.network).forward_features(self.rescale(images))
        except (AssertionError, RuntimeError, ValueError) as error:
            _refuse_size(error, images, self.label, self.made_for)
        if self.grid is None:
            return features.permute(0, 3, 1, 2) if self.channels_last else features
        return self.grid.map(features, (images.shape[2], images.shape[3]))


def _check_name(name: str) -> None:
    names = timm.list_models()
    model, _, tag = name.partition(".")
    if model not in names:
        hint = did_you_mean(model, names, f". Some: {', '.join(names[:4])}.")
        raise UserError(
            f"backbone.name={printable(name)}: timm {timm.__version__} has no such model{hint}"
        )
    if tag and not timm.models.is_model_pretrained(name):
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{model}.*")]
        has = f"It has {', '.join(tags)}" if tags else "It has none"
        raise UserError(
            f"backbone.name={printable(name)}: timm {timm.__version__} has no such weights of "
            f"{model}. {has}; backbone.name={model} is the model."
        )


def _create(name: str) -> nn.Module:
    for options in _OPTIONS:
        try:
            model: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **options)
        except (AssertionError, TypeError):  # how models say that they have no such option
            if options:
                continue
            raise
        return model
    raise AssertionError("the last has no options")


def _trace(model: nn.Module, name: str, made_for: tuple[int, ...]) -> Trace:
    try:
        return trace(model, (made_for[0], made_for[1]))
    except NoMap:
        raise UserError(
            f"backbone.name={name}: what it makes of an image is no feature map [B, C, H, W], nor "
            "tokens that lie in one, for a head to pool. vit_tiny_patch16_224 has such tokens."
        ) from None


def _with_rescale(rescale: Rescale, stage: nn.Module) -> nn.Sequential:
    inner = dict(stage.named_children()) if type(stage) is nn.Sequential else {"embed": stage}
    made = nn.Sequential()
    for part, module in {"rescale": rescale, **inner}.items():
        made.add_module(part, module)
    return made


def _refuse_size(
    error: Exception, images: Tensor, label: str, made_for: tuple[int, ...]
) -> NoReturn:
    """Say that a network does not take this size, if that may be what `error` means."""
    size = tuple(images.shape[2:])
    memory = isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
    if isinstance(error, UserError) or memory or size == made_for:
        raise error
    reason = first_line(str(error)).rstrip(".") or "its parts do not fit each other there"
    raise UserError(
        f"backbone.name={label} does not take images of {times(size)}: {printable(reason)}. It was "
        f"made for {times(made_for)}: set dataset.image_size={made_for[0]}, or another backbone."
    ) from error


def _refuse_small(name: str) -> NoReturn:
    raise UserError(
        f"backbone.stem=small: {name} cannot be made to keep a 4 x 4 map of 32 x 32 images. "
        "Set backbone.stem=imagenet and a larger dataset.image_size, or another backbone."
    )


@cache  # once, however many runs build it
def _say_prefix(name: str, tokens: int) -> None:
    what = "class token" if tokens == 1 else f"{tokens} class and register tokens"
    log.info("%s: the head sees the map of its patches, without the %s", name, what)
