"""What makes two runs one group, and what a run may be given anew."""

import copy
import json

import pytest

from gapfc.records.identity import (
    CHANGEABLE,
    changed_settings,
    group_hash,
    is_execution,
    is_identity,
    settings_text,
)
from gapfc.settings.compose import Composer

CONFIG = {
    "seed": 0,
    "data_root": "/home/a/data",
    "output_root": "outputs",
    "resume": None,
    "backbone": {"name": "squeezenet1_1", "weights": "/home/a/data/weights/s.pth"},
    "head": {"name": "fc", "hidden": [512]},
    "dataset": {"name": "folder", "residency": "auto", "val_fraction": 0.1},
    "trainer": {"epochs": 12, "progress": "auto", "eval_batch_size": 256, "device": "auto"},
}


def changed(path, value):
    config = copy.deepcopy(CONFIG)
    node = config
    *groups, key = path.split(".")
    for group in groups:
        node = node[group]
    node[key] = value
    return group_hash(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 5),
        ("output_root", "/elsewhere"),
        ("resume", "outputs/x"),
        ("trainer.progress", False),
        ("trainer.eval_batch_size", 8),
        ("trainer.device", "cuda"),
        ("trainer.devices", 4),
        ("trainer.targets", [0.5]),
        ("dataset.residency", "stream"),
    ],
)
def test_the_group_is_the_same_whoever_ran_it_where(path, value):
    assert changed(path, value) == group_hash(CONFIG)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("head.hidden", [256]),
        ("backbone.weights", "/home/a/data/weights/other.pth"),
        ("trainer.epochs", 13),
        ("trainer.precision", "bf16"),
        ("dataset.val_fraction", 0.2),
    ],
)
def test_the_group_differs_where_the_training_does(path, value):
    assert changed(path, value) != group_hash(CONFIG)


def test_the_group_does_not_depend_on_the_data_root_or_the_order_of_keys():
    elsewhere = json.loads(json.dumps(CONFIG).replace("/home/a/data", "../mine"))
    assert group_hash(elsewhere) == group_hash(CONFIG)
    assert group_hash(dict(reversed(CONFIG.items()))) == group_hash(CONFIG)
    assert len(group_hash(CONFIG)) == 12


@pytest.mark.parametrize("command", ["train", "transfer"])
def test_every_listed_key_is_one_of_the_settings(command):
    """A key that was renamed would silently become part of what a run is."""
    from omegaconf import OmegaConf

    from gapfc.records import identity

    config = Composer([]).compose(command)
    for key in (*identity.PLACE, *identity.REPORTED, *identity.MACHINE, *identity.ARITHMETIC):
        assert key == "hydra" or OmegaConf.select(config, key, default="none") != "none", key


def test_a_run_from_before_a_setting_was_added_is_a_run_with_its_default():
    present = copy.deepcopy(CONFIG)
    present["backbone"]["padding"], present["dataset"]["holdout_quadrants"] = "zeros", []
    present["dataset"]["seamless"] = False
    assert group_hash(present) == group_hash(CONFIG)
    assert changed_settings(settings_text(CONFIG), present) == {}
    present["backbone"]["padding"] = "circular"
    assert group_hash(present) != group_hash(CONFIG)
    assert changed_settings(settings_text(CONFIG), present) == {
        "backbone.padding": ("nothing", '"circular"')
    }


@pytest.mark.parametrize("given", ["backbone=nin", "dataset=synthetic_shapes", "dataset=folder"])
def test_added_settings_have_the_default_that_runs_without_them_had(given):
    from omegaconf import OmegaConf

    from gapfc.records.identity import ADDED

    config = OmegaConf.to_container(Composer([]).compose("train", [given]))
    group = given.partition("=")[0]
    for key, value in ADDED.items():
        node, _, name = key.partition(".")
        assert node != group or config[node].get(name, value) == value


def test_settings_by_what_they_are():
    assert is_identity("optimizer.lr")
    assert not is_identity("seed")
    assert not is_identity("hydra/launcher")
    assert not is_identity("hydra.sweeper.params")
    assert is_execution("trainer.precision")
    assert not is_execution("optimizer.lr")


def test_a_resumed_run_may_change_nothing_of_what_it_is_but_its_epochs():
    assert [key for key in CHANGEABLE if is_identity(key)] == ["trainer.epochs"]
