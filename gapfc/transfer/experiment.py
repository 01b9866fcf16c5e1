"""A target run: an experiment whose model begins with a source's features."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig

from gapfc.data.batches import EvaluationBatches
from gapfc.data.dataset import Dataset
from gapfc.engine import checkpoint
from gapfc.engine.evaluate import evaluate
from gapfc.engine.fit import Listener
from gapfc.engine.keeper import Keeper
from gapfc.errors import UserError
from gapfc.experiment.experiment import Experiment
from gapfc.measure.cka import Representations
from gapfc.measure.meter import Measures
from gapfc.model.classifier import Classifier
from gapfc.records.run_directory import RunDirectory
from gapfc.settings.nodes import plain
from gapfc.tensorboard.events import TensorBoardLog
from gapfc.tensorboard.hparams import PROTOCOL, SOURCE
from gapfc.transfer.classes import extended, old_classes, source_dataset
from gapfc.transfer.picture import moved_picture
from gapfc.transfer.probe import PROBE, check_probe, solve_probe
from gapfc.transfer.protocols import protocol_of
from gapfc.transfer.scratch import against_scratch, find_scratch, target_hash
from gapfc.transfer.source import Source
from gapfc.transfer.target import build_target, model_nodes

log = logging.getLogger(__name__)


class Transfer(Experiment):
    """What a config of `gapfc transfer` describes, built and ready to train.

    Args:
        config: complete, with the source's backbone and head.
        source: of `config.source`.

    Raises:
        UserError: as `Experiment`, and if source, target and protocol don't fit.
    """

    command = "transfer"

    def __init__(self, config: DictConfig, source: Source) -> None:
        self.source = source
        self.protocol = protocol_of(config.protocol)
        self._probe: dict[str, Any] | None = None
        if config.keep_classes and (self.protocol.probes or source.config is None):
            raise UserError(
                "keep_classes=true keeps the rows that a source's head has for its classes: "
                "source=pretrained has none, and protocol=linear_probe and lp_ft would solve for "
                "all rows from the target's images alone. Take protocol=finetune, last_block or "
                "head_kept."
            )
        super().__init__(config)
        if not self.protocol.trains:
            # A probe is solved only once, whatever trainer.epochs the other protocols are given.
            self.settings = replace(self.settings, epochs=1)
        self._representations = self._represent()

    def load_dataset(self) -> Dataset:
        """The target's images, numbered after the source's classes if those are kept."""
        target = super().load_dataset()
        if not self.config.keep_classes:
            return target
        return extended(target, self._source_dataset().classes)

    def build_model(self, nodes: dict[str, Any]) -> Classifier:
        """The target's model, with what the protocol takes from the source, frozen accordingly."""
        classes = self.dataset.num_classes
        rows = self._old_rows() if self.config.keep_classes else None
        return build_target(nodes, self.protocol, self.source, classes, self.input_size, rows)

    def model_nodes(self) -> dict[str, Any]:
        """The nodes `backbone` and `head` that the target's model was built from."""
        return model_nodes(plain(self.config), self.protocol, pretrained=False)

    def identity(self) -> dict[str, Any]:
        """The settings by which runs are told apart: the source's group, not its path."""
        return plain(self.config) | {"source": self.source.facts["group"]}

    @property
    def sees_augmented(self) -> bool:
        """Whether training sees the images that `augment` makes: a probe is solved without."""
        return self.protocol.trains

    @property
    def trains(self) -> bool:
        """Whether there are steps of training: a probe is solved without."""
        return self.protocol.trains

    @property
    def takes_epochs(self) -> bool:
        """Whether a complete run can be trained further: a probe is solved only once."""
        return self.protocol.trains

    def restore(self, folder: Path) -> Path | None:
        """Continue from the last checkpoint, counting drift from the probe if there was one."""
        probe = folder / PROBE
        if probe.exists():
            state = checkpoint.load(probe)
            check_probe(probe, state, self.model.head)
            self.model.head.load_state_dict(state["model"])
            self._probe = state["probe"]
            self.take_start()
        path = super().restore(folder)
        begun = self.training.progress.step and self.protocol.probes and self.protocol.trains
        if begun and self._probe is None:
            raise UserError(
                f"There is no {probe}: the solution that training began with, from which drift is "
                "counted. Put it back, or start a new run."
            )
        return path

    def fit(self, directory: RunDirectory, listener: Listener) -> None:
        """Solve for the probe if the protocol has one, and train if it trains."""
        facts, progress = self.source.facts, self.training.progress
        accuracy = facts["test_accuracy"]
        there = "" if accuracy is None else f" ({accuracy:.2%} there)"
        source = f"features of {facts['dataset']} under {facts['head']}{there}"
        if not self.protocol.transfers:
            source = "new weights, nothing is taken from the source"
        log.info("  protocol  %s: %s", self.protocol.name, source)
        if not self.protocol.trains:
            log.info("  epochs    none: its Linear is solved for, whatever trainer.epochs says")
        if self.protocol.probes and not progress.step:
            self._probe = solve_probe(self)
            if self.protocol.trains:
                self.take_start()
                checkpoint.save_last(directory.checkpoints, self.last_state())
                state = {"model": self.model.head.state_dict(), "probe": self._probe}
                checkpoint.save(directory.checkpoints / PROBE, state)
        if self.protocol.trains:
            super().fit(directory, listener)
        elif not progress.epoch:
            self._record_probe(directory, listener)

    def extra_results(self, scores: Mapping[str, Measures | None]) -> dict[str, Any]:
        """The `transfer` field: protocol, source, gain over scratch, and how features moved."""
        target = target_hash(plain(self.config))
        scratch = None
        if self.protocol.transfers:
            scratch = find_scratch(plain(self.config))
        test = scores["test"]
        accuracy = None if test is None else test["accuracy"]
        moves = self.protocol.trains
        drifts = {name: drift.per_layer() for name, drift in self.drifts.items()}
        return {
            "transfer": {
                "protocol": self.protocol.name,
                "source": self.source.facts,
                "target": target,
                "train_images": len(self.dataset.train),
                "shots": self.config.dataset.get("shots"),
                "classes": list(self.dataset.classes),
                **against_scratch(scratch, accuracy, self.training.progress.history),
                "cka": self._representations.cka() if moves else None,
                "cka_images": self._cka_images(),
                "drift": drifts["backbone"] if moves else None,
                "drift_head": drifts["head"] if moves else None,
                "drift_total": {name: drift.total() for name, drift in self.drifts.items()},
                "probe": self._probe,
                "old_classes": self._old_classes(),
            }
        }

    def columns(self) -> dict[str, str]:
        """The protocol, and the source's head with the data set it was trained on."""
        facts = self.source.facts
        return {PROTOCOL: self.protocol.name, SOURCE: f"{facts['head']} ({facts['dataset']})"}

    def log_extra(self, tensorboard: TensorBoardLog, results: Mapping[str, Any]) -> None:
        """CKA per stage, drift per layer and gain as scalars, and the first two as a picture."""
        transfer, step = results["transfer"], results["steps"]
        gain, total = transfer["gain_over_scratch"], transfer["drift_total"]["backbone"]
        log.info("")
        if gain is not None:
            log.info("  gain over scratch %+.2f points of test accuracy", 100 * gain)
        elif self.protocol.transfers and transfer["scratch"] is None:
            log.info(
                "  gain over scratch unknown: no run of protocol=scratch with this target, head, "
                "budget\n  and seed is below %s yet",
                self.config.output_root,
            )
        if total is not None:
            log.info("  relative weight change of the backbone %.4f", total)
        old = transfer["old_classes"]
        if old is not None:
            log.info(
                "  %.2f%% of %d test images of the source's %d classes are still classified right",
                *(100 * old["accuracy"], old["images"], len(old["classes"])),
            )
            tensorboard.scalar("final/old_classes_accuracy", old["accuracy"], step)
        tensorboard.scalar("final/gain_over_scratch", transfer["gain_over_scratch"], step)
        tensorboard.scalar("final/source_accuracy", transfer["source"]["test_accuracy"], step)
        cka, drift = transfer["cka"] or {}, transfer["drift"] or {}
        tensorboard.scalars({f"cka/{stage}": value for stage, value in cka.items()}, step)
        tensorboard.scalars({f"drift_layer/{layer}": v for layer, v in drift.items()}, step)
        if cka:
            tensorboard.image("visual/how far the features moved", moved_picture(cka, drift), step)
        tensorboard.flush()

    def _old_rows(self) -> list[int]:
        """The rows that the source's classes have in this head, in their order there."""
        old = self._source_dataset().classes
        return [self.dataset.classes.index(name) for name in old]

    def _record_probe(self, directory: RunDirectory, listener: Listener) -> None:
        """One row, as for an epoch, whose steps are those of L-BFGS."""
        assert self._probe is not None
        progress = self.training.progress
        columns = self.measure_epoch(self.model)
        progress.epoch = 1
        progress.step = self._probe["iterations"]
        progress.judge(columns[self.settings.chosen_by], columns["val_loss"])
        row = {
            "epoch": 1,
            "step": progress.step,
            "train_loss": self._probe["loss"],
            "train_accuracy": self._probe["train_accuracy"],
            **columns,
            "images_per_second": progress.images / progress.seconds,
            "seconds": progress.seconds,
        }
        progress.history.append(row)
        listener.epoch(row, True)
        Keeper(directory.checkpoints).keep(self.last_state, self.best_state(), at_once=True)

    def _represent(self) -> Representations:
        backbone = self.model.backbone
        chosen = self.dataset.val.take(torch.arange(self._cka_images()))
        # Photos of many sizes are resized to one, so that maps have one shape.
        loader = self.loader.over(replace(self.dataset, val=chosen))
        batches = loader.evaluation("val", self.input_size)
        return Representations(backbone, cast(Any, backbone).stages, _Images(batches))

    def _cka_images(self) -> int:
        return min(self.config.cka_images, len(self.dataset.val))

    def _old_classes(self) -> dict[str, Any] | None:
        """Accuracy on the source's test images, of the classes that the head has too."""
        config = self.source.config
        if config is None:
            return None
        if config.dataset.name != self.config.dataset.name and not self.config.keep_classes:
            return None
        source = self._source_dataset()
        kept = old_classes(self.dataset, source)
        if kept is None:
            return None
        batches = self.loader.over(kept).evaluation("test")
        measures = evaluate(self.model, batches, kept.num_classes, self.precision)
        return {
            "accuracy": measures["accuracy"],
            "nll": measures["nll"],
            "classes": [name for name in source.classes if name in kept.classes],
            "images": len(kept.split("test")),
        }

    def _source_dataset(self) -> Dataset:
        assert self.source.config is not None
        return source_dataset(self.source.config, self.config.data_root)


class _Images:
    """The images of batches of images and labels, as often as they are iterated over."""

    def __init__(self, batches: EvaluationBatches) -> None:
        self._batches = batches

    def __iter__(self) -> Any:
        return (images for images, _ in self._batches)
