"""A classifier: a backbone, and a head on its feature map."""

from typing import cast

import torch
from torch import Tensor, nn

from gapfc.backbones.stages import Stages
from gapfc.model.parameter_matching import Match

# Images that go through a frozen part at a time. Kernels are chosen by the size of a batch, and
# round differently: in blocks of one size, an image's features never depend on its company. (Equal
# to the bit in fp32 and bf16 for six families of torchvision's, at one thread and at two.)
BLOCK = 32


class Classifier(nn.Module):
    """Images `[B, 3, h, w]` -> backbone -> features `[B, C, H, W]` -> head -> logits `[B, K]`.

    What is frozen from the images on, the *lower* part, gives the same maps in every epoch; the
    *upper* part is the rest: `forward(images)` is `upper(lower(images))`.

    Attributes:
        match: how near the head came to the number of parameters asked for, or None.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, match: Match | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.match = match
        self._frozen: tuple[nn.Module, ...] = ()
        self._depth = 0  # frozen stages from the images on; all of them: the whole backbone

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, h, w]` to logits `[B, K]`."""
        if self.lower_modules:
            return self.upper(self.lower(images))
        return cast(Tensor, self.head(self.backbone(images)))

    @property
    def lower_modules(self) -> list[nn.Module]:
        """What the lower part runs, in order; nothing where the first stage is trained."""
        if self.backbone in self._frozen:
            return [self.backbone]
        return list(self.backbone.children())[: self._depth]

    def lower(self, images: Tensor) -> Tensor:
        """Images `[B, 3, h, w]` to the last map `[B, C, H, W]` that no training changes."""
        maps = [self._lower(block) for block in images.split(BLOCK)]
        return maps[0] if len(maps) == 1 else torch.cat(maps)

    def upper(self, maps: Tensor) -> Tensor:
        """Maps `[B, C, H, W]`, as `lower` gives them, to logits `[B, K]`."""
        if self.backbone not in self._frozen:
            maps = cast(Stages, self.backbone).part(maps, first=self._depth)
        return cast(Tensor, self.head(maps))

    def freeze(self, modules: list[nn.Module]) -> None:
        """Take `modules` out of training: no gradient, no dropout, batch-norm statistics kept."""
        self._frozen = tuple(modules)
        for module in modules:
            module.requires_grad_(False)
        if isinstance(self.backbone, Stages):
            stages = list(self.backbone.children())
            trained = [stage not in self._frozen for stage in stages]
            self._depth = trained.index(True) if any(trained) else len(stages)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Classifier":
        """As `nn.Module.train`, but what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def _lower(self, images: Tensor) -> Tensor:
        count = len(images)
        if count < BLOCK:
            last = images.is_contiguous(memory_format=torch.channels_last)
            images = images[torch.arange(BLOCK, device=images.device).clamp_(max=count - 1)]
            images = images.contiguous(
                memory_format=torch.channels_last if last else torch.contiguous_format
            )
        with torch.no_grad():
            if self.backbone in self._frozen:
                maps: Tensor = self.backbone(images)
            else:
                maps = cast(Stages, self.backbone).part(images, last=self._depth)
        if maps.is_contiguous() or not maps.is_contiguous(memory_format=torch.channels_last):
            # With the usual strides, which a 1×1 map need not have: kernels are chosen by them.
            maps = maps.reshape(-1).view(maps.shape)
        return maps[:count]


class Upper(nn.Module):
    """The upper part of `model` as a network of its own, on the maps that its lower part gives."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, maps: Tensor) -> Tensor:
        """Maps `[B, C, H, W]` to logits `[B, K]`."""
        return self.model.upper(maps)
