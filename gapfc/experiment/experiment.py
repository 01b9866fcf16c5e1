"""One run, from its config to its measurements: the parts joined."""

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

import gapfc
from gapfc.data.batches import TrainingBatches
from gapfc.data.dataset import Dataset, load
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.data.sizes import Size
from gapfc.engine import checkpoint
from gapfc.engine.class_weights import class_weights
from gapfc.engine.device import choose_device, choose_precision, flush_subnormals, set_determinism
from gapfc.engine.evaluate import evaluate
from gapfc.engine.fit import Fit, Listener
from gapfc.engine.keeper import Keeper
from gapfc.engine.optimizer import build_optimizer
from gapfc.engine.replicas import synchronise_norms
from gapfc.engine.settings import Settings
from gapfc.engine.training import Training, averaged
from gapfc.errors import UserError
from gapfc.experiment.best_weights import check_best, final_weights, naming
from gapfc.experiment.calling import call_others
from gapfc.experiment.one_machine import shared_here
from gapfc.experiment.same_settings import check_same_settings
from gapfc.experiment.sizes import check_sizes
from gapfc.features.feed import Feed
from gapfc.features.maps import TrainingMaps
from gapfc.formatting import printable
from gapfc.measure.complexity import macs
from gapfc.measure.drift import Drift
from gapfc.measure.meter import Measures
from gapfc.model.build import build, feature_shape
from gapfc.model.classifier import Classifier
from gapfc.probes.registry import check_images, known
from gapfc.ranks import team
from gapfc.ranks.ranks import ALONE
from gapfc.records.identity import group_hash, settings_text
from gapfc.records.metrics_csv import write_rows
from gapfc.records.run_directory import RunDirectory
from gapfc.settings.kinds import check_warm_up
from gapfc.settings.nodes import construct, plain
from gapfc.system.cores import usable_cores
from gapfc.system.interruption import Interrupted, Interruption
from gapfc.system.turns import Turns
from gapfc.tensorboard.events import TensorBoardLog

log = logging.getLogger(__name__)


class Experiment:
    """What a config describes, built and ready to train.

    Everything that wrong settings or missing data can break happens here, before a run begins.
    Other commands that train override what they do differently, from `load_dataset` on.

    Args:
        config: the whole config of the command.

    Attributes:
        command: that it is the experiment of.
        ranks: the processes that are at work on it together, now.

    Raises:
        UserError: if a setting is invalid, or the data are missing.
    """

    command = "train"

    def __init__(self, config: DictConfig) -> None:
        trainer = config.trainer
        nodes = plain(config)
        self.config = config
        self.ranks, found = ALONE, team.current()
        self.team_ranks = ALONE if found is None or not self.trains else found.ranks
        flush_subnormals()
        self.device = choose_device(trainer.device)
        self.precision = choose_precision(trainer.precision, self.device)
        self.probes = known(trainer.get("probes") or (), "trainer.probes")
        self.dataset = self.load_dataset()
        images = len(self.dataset.train), len(self.dataset.val)
        self.settings = Settings.of(nodes, self.precision, *images)
        set_determinism(self.settings.deterministic, self.settings.compile)
        team.check_share(min(trainer.batch_size, images[0]), self.team_ranks)
        check_warm_up(nodes["schedule"], self.settings.epochs)
        if self.dataset.num_classes < 2:
            raise UserError(
                "A classifier needs two classes or more; these data have one: "
                f"{', '.join(map(printable, self.dataset.classes))}. Of photos, each has a folder "
                "of its own."
            )
        check_images(self.probes, self.dataset)
        weights = class_weights(
            self.settings.class_weights, self.dataset.train.labels, self.dataset.classes
        )
        self.class_weights = None if weights is None else weights.to(self.device)
        self.interruption = Interruption()
        self.cores = usable_cores()
        computes_here = self.device.type == "cpu"
        self.turns = Turns(
            # Rank 0 queues for all.
            torch.get_num_threads() * self.team_ranks.size
            if computes_here and self.team_ranks.rank == 0
            else 0,
            self.cores,
            self._may_stop,
            log.info,
        )
        self.loader = Loader(
            self.dataset, LoaderSettings.of(config), self.device, self.check_alone, self.team_ranks
        )
        self.loader.check_together = self.check
        if found is not None:
            self.loader.shared = shared_here(found)
        self.input_size = self.loader.input_size
        self.model = self.build_model(nodes)
        check_sizes(config, self.loader.settings, self.model)
        self.feature_map = feature_shape(self.model.backbone, self.input_size)
        self.macs = macs(self.model.backbone, self.model.head, (3, *self.input_size))
        memory_format = torch.channels_last if trainer.channels_last else torch.contiguous_format
        self.model.to(self.device).to(memory_format=memory_format)
        synchronise_norms(self.model, self.team_ranks)
        multipliers = {"head": nodes["head"].get("lr_multiplier", 1.0)}
        self.training = Training(
            self.model,
            build_optimizer(
                self.model,
                nodes["optimizer"],
                multipliers,
                nodes["backbone"].get("layer_decay", 1.0),
            ),
            construct(nodes["schedule"]),
            self.precision.scaler(),
            averaged(self.model, self.settings.ema),
        )
        self.feed = Feed(
            self.model,
            self.loader,
            self.precision,
            config,
            self.sees_augmented,
            self.turns,
            self.interruption.check,
        )
        # Of the images of each split, in the order of `evaluate`, among those its source gave.
        self.places: dict[str, torch.Tensor] = {}
        # Before a checkpoint is loaded: a resumed run, too, drifts from where it began.
        self.take_start()

    def load_dataset(self) -> Dataset:
        """The images to train and measure on."""
        return load(self.config.dataset, self.config.data_root)

    def build_model(self, nodes: dict[str, Any]) -> Classifier:
        """The model as training begins, on the CPU. nodes: the config as plain containers."""
        return build(nodes, self.dataset.num_classes, self.input_size, self.config.seed)

    def take_start(self) -> None:
        """Remember the weights as they are: `drifts` tells how far they have moved since."""
        self.drifts = {name: Drift(child) for name, child in self.model.named_children()}

    @property
    def sees_augmented(self) -> bool:
        """Whether training sees the images that `augment` makes."""
        return True

    @property
    def batches(self) -> TrainingBatches | TrainingMaps:
        """The training batches."""
        return self.feed.training

    @property
    def group(self) -> str:
        """What runs share that differ only in seed and paths."""
        return group_hash(self.identity())

    def identity(self) -> dict[str, Any]:
        """The settings by which runs are told apart, as plain containers."""
        return plain(self.config)

    @property
    def trains(self) -> bool:
        """Whether there are steps of training, which several ranks can share."""
        return True

    @property
    def takes_epochs(self) -> bool:
        """Whether a complete run can be trained further, by raising `trainer.epochs`."""
        return True

    def restore(self, folder: Path) -> Path | None:
        """Continue from the last checkpoint in `folder`, if it has one; nothing is written.

        Returns the checkpoint's path; UserError if it, or best.pt, cannot be continued from.
        """
        found = checkpoint.load_last(folder)
        if found is None:
            return None
        path, state = found
        check_same_settings(path, state, self.identity())
        with naming(path):
            self.training.load_state_dict(state, self.batches.steps)
        self.feed.follow()  # backbone.weights may be another file now
        to_come = self.training.progress.epoch < self.settings.epochs
        if self.weights_epoch and not (self.settings.final_weights == "last" and to_come):
            check_best(folder, self.model, self.weights_epoch)
        return path

    def rewind(self, directory: RunDirectory, path: Path | None) -> None:
        """Make the files of `directory` agree with what `restore` found at `path`."""
        if path is not None:
            checkpoint.make_last(path)
        write_rows(directory.metrics, self.training.progress.history)

    def check(self) -> None:
        """Called between steps: stop if asked to, and let other runs have their turn.

        If one rank is asked to stop, all do, at the same step.
        """
        self.interruption.check(self.ranks.most)
        self.turns.check()

    def check_alone(self) -> None:
        """The same between things that each rank does by itself."""
        self._may_stop()
        self.turns.check()

    def _may_stop(self) -> None:
        """Stop if asked to, unless other ranks would wait for this one: then `check` does it."""
        if self.ranks.size == 1:
            self.interruption.check()

    def fit(self, directory: RunDirectory, listener: Listener) -> None:
        """Train, from wherever `training` stands, saving to `directory` as it goes.

        Args:
            directory: of the run, for its checkpoints.
            listener: is told of steps and epochs.

        Raises:
            Interrupted: if asked to stop; `last.pt` then holds the state.
        """
        keeper, progress = Keeper(directory.checkpoints), self.training.progress

        def save(improved: bool, final: bool) -> None:
            chosen = improved or self.settings.final_weights == "last"
            best = self.best_state() if chosen else None
            keeper.keep(self.last_state, best, at_once=final or progress.epoch == 1)

        call_others(self)
        try:
            self.check()
            self.train(listener, save)
        except Interrupted:
            keeper.keep(self.last_state, at_once=True)
            raise

    def train(self, listener: Listener, save: Callable[[bool, bool], None]) -> None:
        """The training loop, in which all ranks take part; listener, save: as `Fit` has them."""
        Fit(
            self.training,
            self.batches,
            self.measure_epoch,
            self.settings,
            listener,
            save=save,
            check=self.check,
            clock=self.turns.clock,
            network=self.feed.network(self.model),
            class_weights=self.class_weights,
            ranks=self.ranks,
        ).run()

    def part(self) -> None:
        """From here on this process works on the run alone."""
        self.ranks = ALONE

    @property
    def weights_epoch(self) -> int:
        """The epoch whose weights the run has, or would have if it ended now; 0 before the first.

        They are in best.pt, and it is they that are judged and used.
        """
        progress = self.training.progress
        return progress.epoch if self.settings.final_weights == "last" else progress.best_epoch

    def last_state(self) -> dict[str, Any]:
        """What last.pt holds: all that training needs to continue."""
        return {**self.training.state_dict(), "identity": settings_text(self.identity())}

    def best_state(self) -> dict[str, Any]:
        """What best.pt holds: the weights as they are evaluated now, and what they are for."""
        return {
            "model": self.training.evaluated.state_dict(),
            "epoch": self.weights_epoch,
            "config": self._yaml,
            "gapfc": gapfc.__version__,
            **self.loader.inputs.as_record(),
        }

    def load_best(self, directory: RunDirectory) -> None:
        """Load the weights that the run ends with into `model`."""
        weights = final_weights(directory.checkpoints, self.model, self.weights_epoch)
        self.model.load_state_dict(weights)
        self.ranks.told(weights)
        self.feed.follow()

    def evaluate(
        self, split: str, model: nn.Module | None = None, size: Size | None = None
    ) -> Measures | None:
        """Measure `model` (by default the run's own) on train, val or test; None without tests.

        size: (h, w) of the images instead of input_size. Raises Interrupted.
        """
        if getattr(self.dataset, split) is None:
            return None
        ranks = self.ranks
        network, batches = self.feed.evaluation(split, model or self.model, size, ranks)
        found = evaluate(network, batches, self.dataset.num_classes, self.precision, ranks)
        if size is None:
            places = ranks.interleaved([part[:, None] for part in batches.parts], 1)
            self.places[split] = torch.cat(places)[:, 0].long()
        return found

    def model_nodes(self) -> dict[str, Any]:
        """The nodes `backbone` and `head` that the model was built from."""
        return plain(self.config)

    def extra_results(self, scores: Mapping[str, Measures | None]) -> dict[str, Any]:
        """Fields of results.json that only this command has; scores: final ones, by split."""
        return {}

    def columns(self) -> dict[str, str]:
        """Columns of TensorBoard's HPARAMS tab that only this command has."""
        return {}

    def log_extra(self, tensorboard: TensorBoardLog, results: Mapping[str, Any]) -> None:
        """Write what `extra_results` found to TensorBoard."""

    def measure_epoch(self, model: nn.Module) -> dict[str, Any]:
        """The columns of metrics.csv that need a pass over the validation images."""
        measures = cast(Measures, self.evaluate("val", model))
        return {
            "val_loss": measures["nll"],
            "val_accuracy": measures["accuracy"],
            "val_top5": measures["top5"],
            "val_balanced_accuracy": measures["balanced_accuracy"],
            **{f"drift_{name}": drift.total() for name, drift in self.drifts.items()},
        }

    @cached_property  # each better epoch records it
    def _yaml(self) -> str:
        return OmegaConf.to_yaml(self.config, resolve=True)
