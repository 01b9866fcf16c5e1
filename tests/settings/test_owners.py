"""Which choices a key belongs to that was set beside another one."""

import pytest

from gapfc.settings.compose import Composer
from gapfc.settings.explain import unknown_key
from gapfc.settings.owners import owners


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (["dataset.train_dir=x"], ["dataset=folder"]),
        (["head.learn_p=false"], ["head=gem"]),
        (["optimizer.momentum=0.9"], ["optimizer=sgd"]),
        (["schedule.gamma=0.5"], ["schedule=plateau", "schedule=step"]),
        (["backbone.pool.kind=avg", "backbone=resnet18"], ["backbone=convnet"]),
        # Of a file that it builds on; the second key leaves one of nine data sets of photos.
        (["dataset.resize=crop", "dataset.train_dir=x"], ["dataset=folder"]),
        (["augment.policy=none"], [f"augment={name}" for name in Composer([]).choices("augment")]),
        (["dataset.nobody=1"], []),
        (["dataset.resize.deeper=1"], []),
    ],
)
def test_choices_that_have_a_key(typed, wanted):
    assert owners(typed[0].partition("=")[0], Composer(typed)) == wanted


def test_what_is_said_of_it():
    def said(*typed):
        key = typed[0].partition("=")[0]
        return unknown_key(key, "train", "train", Composer(list(typed))).splitlines()

    assert said("schedule.gamma=0.5") == [
        "'schedule.gamma' belongs to schedule=plateau or schedule=step: take one of them",
        "schedule (cosine) takes name, warmup_epochs, final",
    ]
    assert said("head.hidden=[8]", "head=sppf")[0] == (
        "'head.hidden' belongs to head=attn, head=fc, head=gap or 6 more: take one of them"
    )
    assert said("head.hiden=[8]")[0] == "no setting 'head.hiden'; did you mean head.hidden?"


def test_choices_of_one_s_own_folder_whatever_is_in_it(tmp_path):
    (tmp_path / "head").mkdir()
    for name, text in {
        "mine": "name: mine\nanchors: 3\n",
        "above": "defaults: [mine, /x@y: z, _self_]\nname: above\n",
        "circle": "defaults: [circle]\n",
        "broken": "name: [",
        "empty": "",
        "list": "[1]",
    }.items():
        (tmp_path / "head" / f"{name}.yaml").write_text(text)
    composer = Composer(["--config-dir", str(tmp_path), "head.anchors=3"])
    assert owners("head.anchors", composer) == ["head=above", "head=mine"]
