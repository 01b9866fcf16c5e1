"""The training loop. It reads from top to bottom: `fit` is the run, `_train_epoch` an epoch."""

from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gapfc.engine.batch_norm import recalibrate
from gapfc.engine.class_weights import cross_entropy
from gapfc.engine.losses import Losses, StepOutput
from gapfc.engine.modes import has_modes, set_mode
from gapfc.engine.optimizer import set_learning_rate
from gapfc.engine.settings import Settings
from gapfc.engine.training import Progress, Training

# Gradient norms and the loss are recorded this many times an epoch, but not at closer steps: each
# costs a pass over the gradients and, on a GPU, a wait.
SAMPLES_PER_EPOCH = 10
CLOSEST = 10
# Batches over which batch-norm statistics are measured anew where an optimiser evaluates other
# weights than it steps at: as many as the schedule-free library advises.
RECALIBRATED = 50


# Images `[B, 3, h, w]`, or maps of a frozen part, to logits `[B, K]`.
Forward = Callable[[Tensor], Tensor]


class Batches(Protocol):
    """Training batches, as the data's loader gives them."""

    steps: int

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches `start`, start + 1, ... of `epoch`: images `[B, 3, h, w]` and labels `[B]`."""


class Listener(Protocol):
    """What follows a run: the files, TensorBoard and the terminal."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """`done` of the `total` batches of `epoch` (counted from 0) have been trained on."""

    def sample(self, step: int, scalars: dict[str, float]) -> None:
        """Loss, accuracy, learning rate and gradient norms, at some of the steps."""

    def epoch(self, row: dict[str, Any], improved: bool) -> None:
        """The end of an epoch; `improved` if its validation is the best so far."""


def fit(
    training: Training,
    batches: Batches,
    measure: Callable[[nn.Module], dict[str, Any]],
    settings: Settings,
    listener: Listener,
    save: Callable[[bool, bool], None] = lambda improved, final: None,
    check: Callable[[], None] = lambda: None,
    network: nn.Module | None = None,
    clock: Callable[[], float] = perf_counter,
    class_weights: Tensor | None = None,
) -> None:
    """Train until `settings.epochs` are done, or early stopping says so.

    Starts from wherever `training.progress` is, even in the middle of an epoch.

    Args:
        training: what is trained, changed in place.
        batches: the training data.
        measure: model -> the columns of an epoch's row that training does not know; among them
            `val_loss` and the one that `settings.chosen_by` names, which choose the best epoch.
        settings: how to train.
        listener: is told of sampled steps and of epochs.
        save: is called at the end of each epoch, with whether it is the best so far, and whether
            it is the last.
        check: called after each step, and may raise to stop there; the state is then whole.
        network: the inputs of `batches` to logits, where they are not images for the whole model.
        clock: seconds, which may stand still where `check` waits.
        class_weights: of each class in the loss, [K] on the images' device; None: all alike.

    Raises:
        Diverged: if a loss is not finite.
    """
    progress = training.progress
    network = training.model if network is None else network
    forward: Forward = torch.compile(network) if settings.compile else network
    while not _ended(training, settings):
        training.model.train()
        # A run resumed at its validation goes on in evaluation mode: there and back would round.
        if progress.batch < batches.steps:
            set_mode(training.optimizer, stepping=True)
        _train_epoch(training, forward, batches, settings, listener, check, clock, class_weights)
        _to_evaluated_weights(training, network, batches, settings, check, clock)
        columns = measure(training.evaluated)
        progress.epoch += 1
        score = columns[settings.chosen_by]
        improved = _improves(score, columns["val_loss"], progress)
        if improved:
            progress.best_epoch = progress.epoch
            progress.best_accuracy = score
            progress.best_loss = columns["val_loss"]
        training.schedule.observe(score)
        row = _row(training, columns)
        progress.history.append(row)
        progress.batch, progress.sums = 0, {}
        listener.epoch(row, improved)
        save(improved, _ended(training, settings))


def _train_epoch(
    training: Training,
    forward: Forward,
    batches: Batches,
    settings: Settings,
    listener: Listener,
    check: Callable[[], None],
    clock: Callable[[], float],
    class_weights: Tensor | None,
) -> None:
    progress, optimizer, scaler = training.progress, training.optimizer, training.scaler
    sample_every = max(CLOSEST, batches.steps // settings.accumulate // SAMPLES_PER_EPOCH)
    losses = Losses()
    # From (seed, epoch) alone, as the batches: another head or a resumed run draws the same.
    entropy = np.random.SeedSequence((settings.seed, progress.epoch))
    draws: list[int] = entropy.generate_state(batches.steps, np.uint64).tolist()
    then = clock()
    source = batches.epoch(progress.epoch, progress.batch)
    while group := list(islice(source, settings.accumulate)):
        # The middle of the step: at its beginning a warm-up would give the first step rate 0, at
        # its end a cosine the last one.
        middle = progress.epoch + (progress.batch + len(group) / 2) / batches.steps
        rate = set_learning_rate(optimizer, training.schedule.factor(middle, settings.epochs))
        for index, (images, labels) in enumerate(group):
            key = (settings.seed, progress.epoch, progress.batch + index)
            _seed(draws[progress.batch + index])
            loss, output = _forward(forward, images, labels, settings, key, class_weights)
            if len(group) > 1:
                loss = loss / len(group)
            scaler.scale(loss).backward()
            losses.add(output, progress.step + 1, rate)
            progress.images += len(labels)
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
        now = clock()
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
            listener.sample(progress.step, scalars)
        listener.batch(progress.epoch, progress.batch, batches.steps)
        try:
            check()
        except BaseException:
            losses.read(progress)
            raise


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


def _forward(
    forward: Forward,
    images: Tensor,
    labels: Tensor,
    settings: Settings,
    key: tuple[int, int, int],
    class_weights: Tensor | None,
) -> tuple[Tensor, StepOutput]:
    """The mean loss of a batch, and what it gave (of a mixture, the larger part is the label)."""
    partners, weight = labels, 1.0
    if settings.mixing:
        images, partners, weight = settings.mixing(images, labels, key)
    with settings.precision.autocast():
        logits = forward(images)
    logits = logits.float()
    smoothing = settings.label_smoothing
    loss = cross_entropy(logits, labels, smoothing, class_weights)
    if weight < 1:
        other = cross_entropy(logits, partners, smoothing, class_weights)
        loss = weight * loss + (1 - weight) * other
    larger = labels if weight >= 0.5 else partners
    return loss, StepOutput(loss.detach(), logits.argmax(1), larger)


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


def _improves(score: float, loss: float, progress: Progress) -> bool:
    """Whether the validation `score` is the best so far; of equal ones, the lower loss decides.

    A small validation set has many ties.
    """
    if progress.best_accuracy is None or progress.best_loss is None:
        return True
    best = (progress.best_accuracy, -progress.best_loss)
    return bool((score, -loss) > best)


def _to_evaluated_weights(
    training: Training,
    network: nn.Module,
    batches: Batches,
    settings: Settings,
    check: Callable[[], None],
    clock: Callable[[], float],
) -> None:
    """Of an optimiser of two modes: the weights that count, with batch-norm statistics of theirs.

    The time for it is part of the training.
    """
    if not has_modes(training.optimizer):
        return

    def inputs() -> Iterator[Tensor]:
        for given, _ in islice(batches.epoch(training.progress.epoch), RECALIBRATED):
            check()
            yield given

    then = clock()
    set_mode(training.optimizer, stepping=False)
    recalibrate(network, inputs(), settings.precision)
    training.progress.seconds += clock() - then


def _ended(training: Training, settings: Settings) -> bool:
    """Whether all epochs are done, or none was better for as long as early stopping waits."""
    progress = training.progress
    return progress.epoch >= settings.epochs or (
        settings.early_stopping is not None
        and progress.epoch - progress.best_epoch >= settings.early_stopping
    )
