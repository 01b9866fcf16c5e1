"""Any of torchvision's classification models, cut before its pooling."""

import difflib

import torchvision
from torch import Tensor, nn

from gapfc.backbones.rescale import Rescale
from gapfc.backbones.stages import Stages
from gapfc.backbones.torchvision_trunk import (
    fixed_size,
    into_stages,
    is_channels_last,
    keep_small_images,
    trunk,
)
from gapfc.backbones.torchvision_weights import load_trunk, read_weights
from gapfc.errors import UserError
from gapfc.validators import one_of

# Built without their training-time side outputs, and without their slow scipy initialisation.
_INCEPTIONS = ("googlenet", "inception_v3")


class Torchvision(Stages):
    """A classification model of `torchvision.models` up to its last feature map.

    images: `[B, 3, h, w]` -> features: `[B, C, H, W]`. A stage is all layers of one resolution.
    Models with attention windows (Swin) give `[B, C, H, W]` as well.
    """

    def __init__(
        self, architecture: str, weights: str | None = None, stem: str = "imagenet"
    ) -> None:
        """Build the model, load its weights, cut it.

        Args:
            architecture: a name of `torchvision.models.list_models(torchvision.models)`.
            weights: None; DEFAULT or another name of torchvision's weights; or the path of a state
                dict with torchvision's keys, with or without its classifier's.
            stem: imagenet, as published; or small: the first reductions of size are undone (stride
                1, no pool) until 32 x 32 images give at least 4 x 4. Kernels keep their shape, so
                that weights fit either. Everything then costs many times more at 224 x 224.

        Raises:
            UserError: for an unknown architecture, one without a feature map, weights that are
                unavailable or do not fit, and a stem that cannot be built.
        """
        names = torchvision.models.list_models(module=torchvision.models)
        if architecture not in names:
            close = difflib.get_close_matches(architecture, names, n=4, cutoff=0.5)
            hint = (
                f"Did you mean {', '.join(close)}?" if close else f"Some: {', '.join(names[:4])}."
            )
            raise UserError(
                f"backbone.name={architecture}: torchvision {torchvision.__version__} has no such "
                f"classification model. {hint}"
            )
        one_of("backbone.stem", stem, ("imagenet", "small"))
        state = None if weights is None else read_weights(weights, architecture)
        model = _build(architecture, random=state is None)
        parts = trunk(model, architecture)
        if weights is not None and state is not None:
            load_trunk(model, parts, state, source=weights)
        groups = into_stages(parts, is_channels_last(model))
        if architecture in _INCEPTIONS:
            # Also without weights, where it changes nothing: a run's weights bring its numbers.
            rescale, first = Rescale(), groups["stage1"]
            if weights is not None:
                # Trained on images in [-1, 1]: torchvision's `transform_input`.
                rescale.set((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
            first["rescale"] = rescale
            first.move_to_end("rescale", last=False)
        super().__init__(
            architecture, {name: nn.Sequential(group) for name, group in groups.items()}
        )
        self.image_size = fixed_size(model)
        if stem == "small":
            keep_small_images(self)

    def part(self, maps: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """As `Stages.part`; images of another size than the model's are refused."""
        size = self.image_size
        if first == 0 and size is not None and maps.shape[-2:] != (size, size):
            height, width = maps.shape[-2:]
            raise UserError(
                f"backbone.name={self.label} takes images of {size} x {size} only, these are "
                f"{height} x {width}. Set dataset.image_size={size}."
            )
        return super().part(maps, first, last)


def _build(architecture: str, random: bool) -> nn.Module:
    options = {}
    if architecture in _INCEPTIONS:
        options = {"aux_logits": False, "init_weights": random}
    return torchvision.models.get_model(architecture, weights=None, **options)
