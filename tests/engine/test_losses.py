"""What is added up of the steps, and what is said when a loss is no number."""

import math

import pytest
import torch

from gapfc.engine.losses import Diverged, Losses, StepOutput
from gapfc.engine.training import Progress


def output(loss, predicted, labels):
    return StepOutput(torch.tensor(loss), torch.tensor(predicted), torch.tensor(labels))


def test_means_weigh_batches_by_their_images():
    losses, progress = Losses(), Progress()
    losses.add(output(2.0, [0, 1, 2], [0, 1, 1]), step=1, rate=0.1)
    losses.add(output(1.0, [2], [2]), step=2, rate=0.1)
    assert progress.mean("loss") is None
    losses.read(progress)
    losses.read(progress)  # nothing is counted twice
    assert progress.mean("loss") == (2.0 * 3 + 1.0) / 4
    assert progress.mean("accuracy") == 3 / 4
    assert losses.last == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_step_that_went_wrong_is_named(bad):
    losses, progress = Losses(), Progress(epoch=2, step=40)
    losses.add(output(1.5, [0], [0]), step=31, rate=0.1)
    losses.add(output(bad, [0], [0]), step=32, rate=0.25)
    losses.add(output(math.nan, [0], [0]), step=33, rate=0.5)
    words = rf"became {bad} at step 32 \(epoch 3\) at learning rate 0.25; .* was 1.5\."
    with pytest.raises(Diverged, match=words):
        losses.read(progress)


def test_a_first_loss_that_is_no_number():
    losses = Losses()
    losses.add(output(math.nan, [0], [0]), step=1, rate=0.1)
    with pytest.raises(Diverged, match="no loss before it was finite"):
        losses.read(Progress())
