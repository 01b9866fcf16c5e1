"""Calibration of a model that is known to be too sure of itself."""

import numpy as np
import pytest
import torch
from subjects import bare, composed, pictures
from torch.nn import functional

from gapfc.heads import FC
from gapfc.measure.calibration import adaptive_calibration_error, best_temperature
from gapfc.probes.calibration import calibration


def test_equal_mass_bins():
    confidence = torch.tensor([0.9, 0.5, 0.6, 0.7, 0.8])
    correct = torch.tensor([True, False, True, False, True])
    # In order .5 .6 .7 | .8 .9, wrong right wrong | right right.
    expected = abs(1.8 - 1) / 5 + abs(1.7 - 2) / 5
    assert adaptive_calibration_error(confidence, correct, bins=2) == pytest.approx(expected)


def test_the_temperature_that_labels_were_drawn_at():
    random = np.random.default_rng(0)
    honest = torch.from_numpy(random.normal(size=(20_000, 4)))
    p = honest.softmax(1).numpy()
    labels = torch.from_numpy((p.cumsum(1) > random.random((len(p), 1))).argmax(1))
    assert best_temperature(3 * honest, labels) == pytest.approx(3, rel=0.03)
    grid = np.linspace(2, 4, 401)
    nll = [functional.cross_entropy(3 * honest / t, labels).item() for t in grid]
    assert best_temperature(3 * honest, labels) == pytest.approx(grid[np.argmin(nll)], abs=0.01)


def test_the_probe():
    random = torch.Generator().manual_seed(7)
    images = torch.randint(256, (300, 3, 4, 4), generator=random, dtype=torch.uint8)
    labels = torch.randint(3, (300,), generator=random)
    torch.manual_seed(0)
    model = bare(FC((3, 4, 4), 3, hidden=[]))
    model.head.classifier[-1].weight.data *= 10  # sure, and no better than chance
    data = pictures(images, labels, torch.zeros(300, 4))
    settings = ("dataset.image_size=native", "trainer.eval_batch_size=64")
    values = calibration(composed(*settings, dataset=data, model=model)).values
    with torch.no_grad():
        logits = model(images.float() / 255).double()
    temperature = values["temperature"]
    assert temperature > 2
    confidence, prediction = logits.softmax(1).max(1)
    correct = (prediction == labels).double()
    assert values["nll"] == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert values["after"]["nll"] == pytest.approx(
        functional.cross_entropy(logits / temperature, labels).item(), rel=1e-5
    )
    assert values["after"]["nll"] < values["nll"]
    assert values["after"].keys() == {"ece", "nll", "brier", "adaptive_ece"}
    onehot = functional.one_hot(labels, 3)
    brier = (logits.softmax(1) - onehot).square().sum(1).mean().item()
    assert values["brier"] == pytest.approx(brier, rel=1e-5)
    bins = values["reliability"]
    assert len(bins) == 15
    assert sum(each["count"] for each in bins) == 300
    for number, each in enumerate(bins):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        assert each["count"] == inside.sum()
        if each["count"]:
            assert each["confidence"] == pytest.approx(confidence[inside].mean().item(), abs=1e-6)
            assert each["accuracy"] == pytest.approx(correct[inside].mean().item())
        else:
            assert each == {"confidence": None, "accuracy": None, "count": 0}
    gaps = [b["count"] / 300 * abs(b["confidence"] - b["accuracy"]) for b in bins if b["count"]]
    assert values["ece"] == pytest.approx(sum(gaps), abs=1e-6)
    order = confidence.argsort()
    parts = np.array_split((confidence - correct)[order].numpy(), 15)
    assert values["adaptive_ece"] == pytest.approx(sum(abs(p.sum()) for p in parts) / 300, abs=1e-6)
