"""What a model is trained and measured on: images, or maps of its frozen part."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

from omegaconf import DictConfig
from torch import nn

from gapfc.data.batches import EvaluationBatches, TrainingBatches
from gapfc.data.loader import Loader
from gapfc.data.sizes import Size
from gapfc.engine.device import Precision
from gapfc.features.frozen import CannotKeep, Frozen
from gapfc.features.maps import EvaluationMaps, TrainingMaps
from gapfc.features.store import GIB, Store, cache_folder
from gapfc.model.classifier import Classifier, Upper
from gapfc.ranks.ranks import ALONE, Ranks
from gapfc.system.turns import Turns

log = logging.getLogger(__name__)


class Feed:
    """Maps in place of images where they can be computed once and kept.

    Args:
        model: on its device.
        loader: of the images.
        precision: of forward passes.
        config: whole, of a run.
        augmented: whether what trains sees the images that `augment` makes.
        turns: of this run among others.
        stop: called while another run computes the same maps; may raise to stop there.

    Attributes:
        training: the training batches.
        said: what a user is told of a frozen part; None where nothing is frozen or kept.

    Raises:
        UserError: for what `Loader.training` refuses.
    """

    training: TrainingBatches | TrainingMaps

    def __init__(
        self,
        model: Classifier,
        loader: Loader,
        precision: Precision,
        config: DictConfig,
        augmented: bool,
        turns: Turns,
        stop: Callable[[], None],
    ) -> None:
        self._model = model
        self._loader = loader
        self._precision = precision
        self._config = config
        self._augmented = augmented
        self._turns = turns
        self._stop = stop
        self._choose()

    @property
    def views(self) -> int | None:
        """How many augmented views of an image are trained on; None: new ones, or the plain one."""
        return None if self._frozen is None else self._frozen.views

    @property
    def seconds(self) -> float | None:
        """What computing maps took, which is not training time; None where there are none."""
        return None if self._frozen is None else self._frozen.seconds

    def network(self, model: nn.Module) -> nn.Module:
        """What `training` is fed to: `model`, or what is left of it above the frozen part."""
        return model if self._frozen is None else Upper(cast(Classifier, model))

    def evaluation(
        self, split: str, model: nn.Module, size: Size | None = None, ranks: Ranks = ALONE
    ) -> tuple[nn.Module, EvaluationBatches | EvaluationMaps]:
        """A network that does what `model` does, and the batches of a split that it takes.

        size: (h, w) of the images instead of the input size. ranks: who have the batches in turn.
        """
        if self._frozen is not None and size is None:
            try:
                maps = self._frozen.evaluation(split, ranks)
                self._loader.forget()  # the images, if they were needed
                return self.network(model), maps
            except CannotKeep as error:
                log.warning("frozen features of the %s images cannot be kept: %s", split, error)
        return model, self._loader.evaluation(split, size, ranks)

    def follow(self) -> None:
        """Choose anew where other weights have been loaded below: maps were of those before."""
        if self._frozen is not None and not self._frozen.fits:
            self._choose()

    def _choose(self) -> None:
        self._frozen: Frozen | None = None
        self.said = None if not self._wanted() else self._obstacle()
        if self._wanted() and self.said is None:
            self.said = self._compute()
        if self._frozen is None:
            self.training = self._loader.training()

    def _wanted(self) -> bool:
        """Whether something is frozen from the images on, and may be kept."""
        return bool(self._model.lower_modules and self._config.trainer.get("cache_gib", 0))

    def _obstacle(self) -> str | None:
        settings, augment = self._loader.settings, self._config.augment
        anew = "computed at every step:"
        if self._loader.inputs.image_size is None or settings.train_sizes:
            return f"{anew} images of several sizes are not kept"
        if self._augmented and (augment.mixup or augment.cutmix):
            return f"{anew} mixup and cutmix mix the images below"
        changes = self._augmented and self._loader.augmentation.operations
        if changes and settings.views is None:
            return (
                f"{anew} augmentation draws new images each epoch;\n"
                "            augment.views=4 or augment=none: once, for all heads and seeds"
            )
        return None

    def _while_another_computes(self) -> None:
        self._turns.give_up()  # or the other, which needs the cores, would wait for this run
        self._stop()

    def _compute(self) -> str:
        """Have the maps for training and validation; what to say of that."""
        config = self._config
        limit, progress = config.trainer.cache_gib * GIB, config.trainer.progress
        frozen = Frozen(
            self._model,
            self._loader,
            self._precision,
            Store(cache_folder(config.get("cache_root")), limit),
            augmented=self._augmented,
            bar=None if progress == "auto" else progress,
            stop=self._while_another_computes,
            clock=self._turns.clock,
        )
        try:
            with self._turns:
                training = frozen.training()
                frozen.evaluation("val")
        except CannotKeep as error:
            return f"computed at every step: {error}"
        self._loader.forget()  # the images
        self._frozen, self.training = frozen, training
        return frozen.said
