"""Schedules against torch's own."""

import pytest
import torch
from torch.optim import lr_scheduler

from gapfc.engine.schedule import Constant, Cosine, OneCycle, Plateau, Step
from gapfc.errors import UserError

STEPS, EPOCHS = 10, 6


def factors(schedule):
    return [schedule.factor(step / STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]


def torchs(build):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimizer)
    rates = []
    for _ in range(STEPS * EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine():
    expected = torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS * EPOCHS, eta_min=0.1))
    assert factors(Cosine(final=0.1)) == pytest.approx(expected)


def test_cosine_after_a_linear_warm_up():
    ours = factors(Cosine(warmup_epochs=2))
    assert ours[:20] == pytest.approx([i / 20 for i in range(20)])
    assert ours[20:] == pytest.approx(
        torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, 40))[:40], abs=1e-9
    )


def test_step():
    expected = torchs(lambda o: lr_scheduler.MultiStepLR(o, [30, 45], gamma=0.2))
    assert factors(Step(milestones=[0.5, 0.75], gamma=0.2)) == pytest.approx(expected)


def test_one_cycle():
    total = STEPS * EPOCHS
    ours = OneCycle(rise=0.3, start=0.04, final=1e-4)
    expected = torchs(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            1.0,
            total + 1,
            pct_start=0.3,
            div_factor=25,
            final_div_factor=400,
            cycle_momentum=False,
        )
    )
    # torch's peak lies at 0.3 · (total + 1) - 1 of its steps, ours at 0.3 of the run.
    peak = max(range(total), key=lambda i: ours.factor(i / STEPS, EPOCHS))
    assert abs(peak - max(range(total), key=expected.__getitem__)) <= 1
    assert ours.factor(0, EPOCHS) == pytest.approx(expected[0])
    assert ours.factor(EPOCHS, EPOCHS) == pytest.approx(1e-4)


def test_plateau_against_torch():
    accuracies = [0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.1]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=2, threshold=0.0
    )
    ours = Plateau(gamma=0.5, patience=2)
    for accuracy in accuracies:
        reference.step(accuracy)
        ours.observe(accuracy)
        assert ours.factor(0, 1) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_remembers():
    before, after = Plateau(patience=0), Plateau(patience=0)
    before.observe(0.5)
    before.observe(0.4)
    after.load_state_dict(before.state_dict())
    assert after.factor(1, 2) == before.factor(1, 2) == pytest.approx(0.1)


def test_constant():
    assert factors(Constant()) == [1.0] * STEPS * EPOCHS
    assert Constant(warmup_epochs=1).factor(0.25, EPOCHS) == 0.25


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Step(milestones=[30]), "schedule.milestones"),
        (lambda: OneCycle(rise=0), "schedule.rise"),
        (lambda: Cosine(warmup_epochs=-1), "schedule.warmup_epochs"),
    ],
)
def test_wrong_settings_are_named(build, message):
    with pytest.raises(UserError, match=message):
        build()
