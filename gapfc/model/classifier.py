"""A classifier: a backbone, and a head on its feature map."""

from torch import Tensor, nn

from gapfc.model.parameter_matching import Match


class Classifier(nn.Module):
    """Images `[B, 3, h, w]` -> backbone -> features `[B, C, H, W]` -> head -> logits `[B, K]`.

    Attributes:
        match: how near the head came to the number of parameters asked for, or None.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, match: Match | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.match = match
        self._frozen: tuple[nn.Module, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, h, w]` to logits `[B, K]`."""
        return self.head(self.backbone(images))

    def freeze(self, modules: list[nn.Module]) -> None:
        """Take `modules` out of training: no gradient, no dropout, batch-norm statistics kept."""
        self._frozen = tuple(modules)
        for module in modules:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Classifier":
        """As `nn.Module.train`, but what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self
