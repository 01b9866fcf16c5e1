"""What a step lowers: the loss of a batch."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from gapfc.engine.class_weights import cross_entropy
from gapfc.engine.losses import StepOutput
from gapfc.engine.settings import Settings

# Images `[B, 3, h, w]`, or maps of a frozen part, to logits `[B, K]`.
Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """The mean loss of a batch under a network.

    Attributes:
        forward: the network, or what is left of it above a frozen part.
        settings: of them mixing, label smoothing and precision.
        class_weights: of each class in the loss, `[K]` on the images' device; None: all alike.
    """

    forward: Forward
    settings: Settings
    class_weights: Tensor | None = None

    def __call__(
        self, images: Tensor, labels: Tensor, key: tuple[int, int, int]
    ) -> tuple[Tensor, StepOutput]:
        """The loss, a scalar, and what gave it; of a mixture, the larger part is the label.

        Args:
            images: what `forward` takes.
            labels: int64 `[B]`.
            key: (seed, epoch, batch), from which alone it follows how images are mixed.
        """
        partners, weight = labels, 1.0
        if self.settings.mixing:
            images, partners, weight = self.settings.mixing(images, labels, key)
        with self.settings.precision.autocast():
            logits = self.forward(images)
        logits = logits.float()
        loss = self._loss(logits, labels)
        if weight < 1:
            loss = weight * loss + (1 - weight) * self._loss(logits, partners)
        larger = labels if weight >= 0.5 else partners
        return loss, StepOutput(loss.detach(), logits.argmax(1), larger)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, self.settings.label_smoothing, self.class_weights)
