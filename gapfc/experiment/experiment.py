"""One run, from its config to its measurements: the parts joined."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

import gapfc
from gapfc import heads
from gapfc.data.dataset import Dataset, load
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.data.sizes import Size
from gapfc.engine import checkpoint
from gapfc.engine.device import choose_device, choose_precision, set_determinism
from gapfc.engine.evaluate import evaluate
from gapfc.engine.fit import Listener, fit
from gapfc.engine.keeper import Keeper
from gapfc.engine.optimizer import build_optimizer
from gapfc.engine.settings import Settings
from gapfc.engine.training import Training, averaged
from gapfc.errors import UserError
from gapfc.experiment.best_weights import check_best, final_weights, naming
from gapfc.measure.complexity import macs
from gapfc.measure.drift import Drift
from gapfc.measure.meter import Measures
from gapfc.model.build import build, dry_run, feature_shape, rebuild
from gapfc.model.classifier import Classifier
from gapfc.probes.images import Images
from gapfc.probes.registry import check_images, known
from gapfc.probes.subject import Subject
from gapfc.records.identity import changed_settings, group_hash, settings_text
from gapfc.records.metrics_csv import write_rows
from gapfc.records.run_directory import RunDirectory
from gapfc.settings.kinds import check_warm_up
from gapfc.settings.nodes import construct, plain
from gapfc.system.interruption import Interrupted, Interruption
from gapfc.tensorboard.events import TensorBoardLog


class Experiment:
    """What a config describes, built and ready to train.

    Everything that wrong settings or missing data can break happens here, before a run begins.
    Other commands that train override what they do differently, from `load_dataset` on.

    Args:
        config: the whole config of the command.

    Raises:
        UserError: if a setting is invalid, or the data are missing.
    """

    def __init__(self, config: DictConfig) -> None:
        trainer = config.trainer
        nodes = plain(config)
        self.config = config
        self.device = choose_device(trainer.device)
        self.precision = choose_precision(trainer.precision, self.device)
        self.probes = known(trainer.get("probes") or (), "trainer.probes")
        self.dataset = self.load_dataset()
        images = len(self.dataset.train), len(self.dataset.val)
        self.settings = Settings.of(nodes, self.precision, *images)
        set_determinism(self.settings.deterministic)
        check_warm_up(nodes["schedule"], self.settings.epochs)
        if self.dataset.num_classes < 2:
            raise UserError("A classifier needs two classes or more; these data have one.")
        check_images(self.probes, self.dataset)
        self.interruption = Interruption()
        self.loader = Loader(
            self.dataset, LoaderSettings.of(config), self.device, self.interruption.check
        )
        self.input_size = self.loader.input_size
        self.model = self.build_model(nodes)
        self._check_sizes()
        self.feature_map = feature_shape(self.model.backbone, self.input_size)
        self.macs = macs(self.model.backbone, self.model.head, (3, *self.input_size))
        memory_format = torch.channels_last if trainer.channels_last else torch.contiguous_format
        self.model.to(self.device).to(memory_format=memory_format)
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
        self.batches = self.loader.training()
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
    def group(self) -> str:
        """What runs share that differ only in seed and paths."""
        return group_hash(self.identity())

    def identity(self) -> dict[str, Any]:
        """The settings by which runs are told apart, as plain containers."""
        return plain(self.config)

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
        self._check_settings(path, state)
        with naming(path):
            self.training.load_state_dict(state, self.batches.steps)
        to_come = self.training.progress.epoch < self.settings.epochs
        if self.weights_epoch and not (self.settings.final_weights == "last" and to_come):
            check_best(folder, self.model, self.weights_epoch)
        return path

    def rewind(self, directory: RunDirectory, path: Path | None) -> None:
        """Make the files of `directory` agree with what `restore` found at `path`."""
        if path is not None:
            checkpoint.make_last(path)
        write_rows(directory.metrics, self.training.progress.history)

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

        try:
            fit(
                self.training,
                self.batches,
                self.measure_epoch,
                self.settings,
                listener,
                save,
                self.interruption.check,
            )
        except Interrupted:
            keeper.keep(self.last_state, at_once=True)
            raise

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
            "config": self._yaml(),
            "gapfc": gapfc.__version__,
            **self.loader.inputs.as_record(),
        }

    def load_best(self, directory: RunDirectory) -> None:
        """Load the weights that the run ends with into `model`."""
        weights = final_weights(directory.checkpoints, self.model, self.weights_epoch)
        self.model.load_state_dict(weights)

    def evaluate(
        self, split: str, model: nn.Module | None = None, size: Size | None = None
    ) -> Measures | None:
        """Measure `model` (by default the run's own) on train, val or test; None without tests.

        size: (h, w) of the images instead of input_size. Raises Interrupted.
        """
        if getattr(self.dataset, split) is None:
            return None
        return evaluate(
            model or self.model,
            self.loader.evaluation(split, size),
            self.dataset.num_classes,
            self.precision,
        )

    def subject(self) -> Subject:
        """What probes measure: the model as it is, on the test images (without any: validation)."""
        split = "val" if self.dataset.test is None else "test"

        def untrained() -> Classifier:
            nodes, classes = self.model_nodes(), self.dataset.num_classes
            return rebuild(nodes, classes, self.input_size, self.config.seed).to(self.device)

        return Subject(
            model=self.model.eval(),
            untrained=untrained,
            loader=self.loader,
            split=split,
            images=Images(self.loader, split, self.input_size),
            input_size=self.input_size,
            precision=self.precision,
            device=self.device,
            seed=self.config.seed,
            check=self.interruption.check,
        )

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
            **{f"drift_{name}": drift.total() for name, drift in self.drifts.items()},
        }

    def _check_settings(self, path: Path, state: Mapping[str, Any]) -> None:
        """The config is still that of the checkpoint at `path`."""
        recorded = state.get("identity")
        if recorded is None:  # a run from before 0.1.0; to be refused from 0.2.0 on
            return
        try:
            changed = changed_settings(str(recorded), self.identity())
        except ValueError as error:
            raise UserError(f"{path} does not say which settings it belongs to: {error}") from error
        if changed:
            said = "; ".join(
                f"{key} was {then[:80]} and is {now[:80]} now"
                for key, (then, now) in list(changed.items())[:3]
            )
            raise UserError(
                f"The settings were changed since {path} was written: {said}. To continue this "
                f"run, put config.yaml back as it was; for other settings, start a new run."
            )

    def _check_sizes(self) -> None:
        dataset, settings = self.config.dataset, self.loader.settings
        sizes = {"train_sizes": settings.train_sizes, "eval_sizes": settings.eval_sizes}
        many = [f"dataset.{key}={dataset[key]}" for key, given in sizes.items() if given]
        if settings.image_size is None:
            many.append("dataset.image_size=native")
        if many and not self.model.head.accepts_any_size:
            raise UserError(
                f"{' and '.join(many)}: several image sizes, but head={self.config.head.name} "
                "takes only the one it was built for. Heads that accept any: "
                f"{heads.names(lambda head: head.accepts_any_size)}."
            )
        for key, (height, width) in ((k, size) for k, given in sizes.items() for size in given):
            try:
                dry_run(self.model, (height, width))
            except UserError as error:
                raise UserError(f"dataset.{key} has {height}x{width}: {error}") from error

    def _yaml(self) -> str:
        return OmegaConf.to_yaml(self.config, resolve=True)
