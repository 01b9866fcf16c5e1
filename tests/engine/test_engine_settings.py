"""The settings of training, as read from a config and as refused."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from gapfc.engine.device import choose_precision
from gapfc.engine.mixing import Mixing
from gapfc.engine.settings import Settings
from gapfc.errors import UserError
from gapfc.settings.nodes import plain
from gapfc.settings.paths import CONFIGS

FP32 = choose_precision("fp32", torch.device("cpu"))
TRAINER = plain(OmegaConf.load(Path(CONFIGS) / "train.yaml").trainer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "trainer.epochs takes a whole number of at least 1; got 0"),
        ({"epochs": True}, "trainer.epochs takes .*; got true"),
        ({"seed": -1}, r"seed takes a whole number from 0 to 2\^63 - 1"),
        ({"seed": True}, "seed takes"),
        ({"accumulate": 0}, "trainer.accumulate"),
        ({"clip_norm": 0.0}, "trainer.clip_norm takes a positive norm or null"),
        (
            {"label_smoothing": 1.0},
            "trainer.label_smoothing takes a number of at least 0 and below 1",
        ),
        ({"ema": 1.5}, "trainer.ema takes a decay between 0 and 1"),
        ({"early_stopping": 0}, "trainer.early_stopping takes 1 epoch or more, or null"),
        ({"early_stopping": True}, "trainer.early_stopping"),
        ({"compile": 1}, "trainer.compile takes true or false; got 1"),
        ({"deterministic": None}, "trainer.deterministic takes true or false; got null"),
        ({"targets": [0.5, 1.5]}, r"trainer.targets takes accuracies .*; got \[0.5, 1.5\]"),
        ({"targets": 0.5}, "trainer.targets"),
        ({"class_weights": "even"}, "trainer.class_weights takes balanced, a list of"),
        ({"class_weights": [1, 0]}, "trainer.class_weights takes balanced, a list of"),
        ({"progress": 1}, "trainer.progress takes auto, true or false; got 1"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(UserError, match=message):
        Settings(**({"epochs": 1, "precision": FP32} | options))


def test_every_key_of_the_trainer_is_a_setting_or_is_read_elsewhere():
    own = {f.name for f in fields(Settings)}
    assert own - set(TRAINER) == {"seed", "mixing", "chosen_by"}
    assert set(TRAINER) - own == {
        "batch_size",
        "eval_batch_size",
        "device",
        "devices",
        "channels_last",
        "probes",
        "cache_gib",
    }


def test_settings_are_read_from_the_config():
    trainer = TRAINER | {"epochs": 7, "ema": 0.9, "targets": [0.5]}
    config = {"seed": 3, "trainer": trainer, "augment": {"mixup": 0.2, "cutmix": 0.0}}
    settings = Settings.of(config, FP32, 60, 40)
    assert settings.precision is FP32
    assert (settings.seed, settings.epochs, settings.ema) == (3, 7, 0.9)
    assert settings.targets == [0.5]
    assert settings.mixing == Mixing(mixup=0.2)
    assert settings.chosen_by == "val_accuracy"


@pytest.mark.parametrize(
    ("sampler", "weights", "column"),
    [
        ("shuffle", None, "val_accuracy"),
        ("balanced", None, "val_balanced_accuracy"),
        ("shuffle", "balanced", "val_balanced_accuracy"),
        ("shuffle", [1, 5], "val_balanced_accuracy"),
    ],
)
def test_training_that_evens_out_classes_is_judged_by_balanced_accuracy(sampler, weights, column):
    config = {
        "seed": 0,
        "dataset": {"sampler": sampler},
        "trainer": TRAINER | {"class_weights": weights},
        "augment": {"mixup": 0.0, "cutmix": 0.0},
    }
    assert Settings.of(config, FP32, 60, 40).chosen_by == column
