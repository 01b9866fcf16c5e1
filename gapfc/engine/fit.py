"""The training loop. It reads from top to bottom: `run` is all of it, `_train_epoch` an epoch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gapfc.engine.batch_norm import recalibrate
from gapfc.engine.losses import Losses
from gapfc.engine.modes import has_modes, set_mode
from gapfc.engine.objective import Forward, Objective
from gapfc.engine.optimizer import set_learning_rate
from gapfc.engine.replicas import Replicas
from gapfc.engine.settings import Settings
from gapfc.engine.training import Training
from gapfc.ranks.ranks import ALONE, Ranks
from gapfc.system.interruption import Interrupted

# Gradient norms and the loss are recorded this many times an epoch, but not at closer steps: each
# costs a pass over the gradients and, on a GPU, a wait.
SAMPLES_PER_EPOCH = 10
CLOSEST = 10
# Batches over which batch-norm statistics are measured anew where an optimiser evaluates other
# weights than it steps at: as many as the schedule-free library advises.
RECALIBRATED = 50


class Batches(Protocol):
    """Training batches, as the data's loader gives them."""

    steps: int
    weight: float  # of the mean over this rank's part of a batch, in the mean over the ranks

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches `start`, start + 1, ... of `epoch`: images `[B, 3, h, w]` and labels `[B]`.

        Of each the part that is this rank's.
        """


class Listener(Protocol):
    """What follows a run: the files, TensorBoard and the terminal."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """`done` of the `total` batches of `epoch` (counted from 0) have been trained on."""

    def sample(self, step: int, scalars: dict[str, float]) -> None:
        """Loss, accuracy, learning rate and gradient norms, at some of the steps."""

    def epoch(self, row: dict[str, Any], improved: bool) -> None:
        """The end of an epoch; `improved` if its validation is the best so far."""


@dataclass
class Fit:
    """A run of training: `Fit(...).run()`.

    Attributes:
        training: what is trained, changed in place.
        batches: the training data.
        measure: model -> the columns of an epoch's row that training does not know; among them
            `val_loss` and the one that `settings.chosen_by` names, which choose the best epoch.
        settings: how to train.
        listener: is told of sampled steps and of epochs.
        save: is called at the end of each epoch, with whether it is the best so far, and whether
            it is the last.
        check: called after each step, and may raise to stop there; the state is then whole.
        clock: seconds, which may stand still where `check` waits.
        network: the inputs of `batches` to logits; None: they are images for the whole model.
        class_weights: of each class in the loss, `[K]` on the images' device; None: all alike.
        ranks: the processes that train together, each with a replica of the model. All of them run
            this, from the same state; then only rank 0 has something to tell or to save.
    """

    training: Training
    batches: Batches
    measure: Callable[[nn.Module], dict[str, Any]]
    settings: Settings
    listener: Listener
    save: Callable[[bool, bool], None] = lambda improved, final: None
    check: Callable[[], None] = lambda: None
    clock: Callable[[], float] = perf_counter
    network: nn.Module | None = None
    class_weights: Tensor | None = None
    ranks: Ranks = ALONE

    def run(self) -> None:
        """Train until `settings.epochs` are done, or early stopping says so.

        Starts from wherever `training.progress` is, even in the middle of an epoch.

        Raises:
            Diverged: if a loss is not finite.
        """
        training, progress = self.training, self.training.progress
        network = training.model if self.network is None else self.network
        self._replicas = Replicas(network, self.ranks)
        network = self._replicas.network
        forward: Forward = torch.compile(network) if self.settings.compile else network
        objective = Objective(forward, self.settings, self.class_weights)
        while not self._ended():
            training.model.train()
            # A run resumed at its validation stays in evaluation mode: there and back would round.
            if progress.batch < self.batches.steps:
                set_mode(training.optimizer, stepping=True)
            self._train_epoch(objective)
            self._to_evaluated_weights(network)
            columns = self.measure(training.evaluated)
            progress.epoch += 1
            score = columns[self.settings.chosen_by]
            improved = progress.judge(score, columns["val_loss"])
            training.schedule.observe(score)
            row = _row(training, columns)
            progress.history.append(row)
            progress.batch, progress.sums = 0, {}
            self.listener.epoch(row, improved)
            self.save(improved, self._ended())

    def _train_epoch(self, objective: Objective) -> None:
        """Train on the batches of an epoch that are left."""
        training, settings, batches = self.training, self.settings, self.batches
        progress, optimizer, scaler = training.progress, training.optimizer, training.scaler
        sample_every = max(CLOSEST, batches.steps // settings.accumulate // SAMPLES_PER_EPOCH)
        losses = Losses(self.ranks)
        # From (seed, epoch) alone, as the batches: another head or a resumed run draws the same.
        # Each rank draws other numbers, as its images are others.
        rank = (self.ranks.rank,) if self.ranks.rank else ()
        entropy = np.random.SeedSequence((settings.seed, progress.epoch, *rank))
        draws: list[int] = entropy.generate_state(batches.steps, np.uint64).tolist()
        then = self.clock()
        source = batches.epoch(progress.epoch, progress.batch)
        while group := list(islice(source, settings.accumulate)):
            # The middle of the step: at its beginning a warm-up would give the first step rate 0,
            # at its end a cosine the last one.
            middle = progress.epoch + (progress.batch + len(group) / 2) / batches.steps
            rate = set_learning_rate(optimizer, training.schedule.factor(middle, settings.epochs))
            for index, (images, labels) in enumerate(group):
                key = (settings.seed, progress.epoch, progress.batch + index)
                _seed(draws[progress.batch + index])
                with self._replicas.exchanging(index == len(group) - 1):
                    loss, output = objective(images, labels, key)
                    if len(group) > 1:
                        loss = loss / len(group)
                    if batches.weight != 1:
                        loss = loss * batches.weight
                    scaler.scale(loss).backward()
                losses.add(output, progress.step + 1, rate)
            self.ranks.meet()
            progress.batch += len(group)
            progress.step += 1
            last = progress.batch >= batches.steps
            sampled = last or progress.step % sample_every == 0
            if sampled or settings.clip_norm is not None:
                scaler.unscale_(optimizer)
            if sampled:
                norms = _gradient_norms(training.model)
            if settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(training.model.parameters(), settings.clip_norm)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            if training.ema is not None:
                training.ema.update_parameters(training.model)
            if sampled:
                # The GPU is waited for only here, so that it never runs idle in between.
                losses.read(progress)
            now = self.clock()
            progress.seconds, then = progress.seconds + now - then, now
            if sampled:
                for name, norm in norms.items():
                    progress.add(name, norm)
                scalars = {
                    "loss": losses.last,
                    "accuracy": progress.mean("accuracy") or 0.0,
                    "lr": rate,
                    "images_per_second": progress.images / progress.seconds,
                    **norms,
                }
                self.listener.sample(progress.step, scalars)
            self.listener.batch(progress.epoch, progress.batch, batches.steps)
            try:
                self.check()
            except BaseException as stop:
                # All ranks are interrupted at the same step; whatever else may be one's own.
                if self.ranks.size == 1 or isinstance(stop, Interrupted):
                    losses.read(progress)
                raise

    def _to_evaluated_weights(self, network: nn.Module) -> None:
        """Of an optimiser of two modes: the weights that count, with batch-norm statistics anew.

        The time for it is part of the training.
        """
        training = self.training
        if not has_modes(training.optimizer):
            self.ranks.agree(training.model, training.evaluated)
            return

        def inputs() -> Iterator[Tensor]:
            for given, _ in islice(self.batches.epoch(training.progress.epoch), RECALIBRATED):
                self.check()
                yield given

        then = self.clock()
        set_mode(training.optimizer, stepping=False)
        recalibrate(network, inputs(), self.settings.precision)
        self.ranks.agree(training.model)
        training.progress.seconds += self.clock() - then

    def _ended(self) -> bool:
        """Whether all epochs are done, or none was better for as long as early stopping waits."""
        progress, patience = self.training.progress, self.settings.early_stopping
        return progress.epoch >= self.settings.epochs or (
            patience is not None and progress.epoch - progress.best_epoch >= patience
        )


def _seed(seed: int) -> None:
    """Begin the global random numbers of CPU and GPUs anew.

    Done before each batch: the backbone is the first to draw, so its dropout is the same under
    every head, whatever the head draws after it. Takes 2 µs; `torch.manual_seed` takes 100 times as
    long where CUDA is not in use.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        for generator in torch.cuda.default_generators:
            generator.manual_seed(seed)


def _gradient_norms(model: nn.Module) -> dict[str, float]:
    """The L2 norm of each child's gradient, over all its parameters."""
    norms = {}
    for name, child in model.named_children():
        gradients = [p.grad for p in child.parameters() if p.grad is not None]
        if gradients:
            norms[f"gradient_{name}"] = float(torch.stack(torch._foreach_norm(gradients)).norm())
    return norms


def _row(training: Training, columns: dict[str, Any]) -> dict[str, Any]:
    progress = training.progress
    gradients = {n: progress.mean(n) for n in progress.sums if n.startswith("gradient_")}
    return {
        "epoch": progress.epoch,
        "step": progress.step,
        "lr": training.optimizer.param_groups[0]["lr"],
        "train_loss": progress.mean("loss"),
        "train_accuracy": progress.mean("accuracy"),
        **columns,
        **gradients,
        "images_per_second": progress.images / progress.seconds,
        "seconds": progress.seconds,
    }
