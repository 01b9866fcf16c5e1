"""Presets: which images, seeds and rates; another data set in their place."""

import pytest

from gapfc.claims.claim import Arm
from gapfc.claims.preset import Preset
from gapfc.claims.runs import merged, typed
from gapfc.errors import UserError

NODE = {
    "name": "test",
    "seeds": [0, 1, 2],
    "rate_seeds": [0, 1],
    "rates": [0.01, 0.001],
    "beyond": 3,
    "settings": {"trainer": {"epochs": 3}, "augment": "none"},
    "data": {
        "a": {
            "pictures": {"dataset": "a", "dataset.image_size": 8, "trainer.epochs": 5},
            "far": {"dataset": "x"},
        },
        "b": {"pictures": {"dataset": "b"}},
        "shapes": {"shapes": {"dataset": "synthetic_shapes"}},
    },
}


def arms(*kinds):
    return {kind: Arm(kind, kind, {}) for kind in kinds}


def test_a_preset_is_flat_with_the_smallest_rate_first():
    preset = Preset.of(NODE)
    assert preset.rates == (0.001, 0.01)
    assert preset.settings == {"trainer.epochs": 3, "augment": "none"}
    assert preset.variants(arms("pictures")) == ["a", "b"]
    assert preset.variants(arms("pictures", "far")) == ["a"]
    assert preset.variants(arms("shapes")) == ["shapes"]


def test_images_that_no_variant_has():
    with pytest.raises(UserError) as error:
        Preset.of(NODE).variants(arms("shapes", "far"))
    assert str(error.value) == (
        "preset=test has no variant with far and shapes: a claim's data is one of far, "
        "pictures, shapes"
    )


def test_another_data_set_is_trained_as_the_first_without_its_sizes():
    data = Preset.of(NODE).on("c").data
    assert data["c"] == {"pictures": {"dataset": "c", "trainer.epochs": 5}}
    assert data["a"] == {"far": {"dataset": "x"}}
    assert "b" not in data
    assert data["shapes"] == {"shapes": {"dataset": "synthetic_shapes"}}


def test_one_of_its_own_data_sets_alone():
    data = Preset.of(NODE).on("a").data
    assert data["a"] == NODE["data"]["a"]
    assert "b" not in data
    assert Preset.of(NODE).on("b").data["b"] == {"pictures": {"dataset": "b"}}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seeds", [], r"preset.seeds takes a list of seeds, such as \[0, 1, 2\]"),
        ("seeds", [-1], r"preset.seeds takes a list of seeds"),
        ("rate_seeds", [5], r"preset.rate_seeds takes some of preset.seeds; got \[5\]"),
        ("rates", [0], r"preset.rates takes a list of learning rates above 0"),
        ("rates", "x", r"preset.rates takes a list of learning rates above 0"),
        ("beyond", 1, r"preset.beyond takes a factor above 1; got 1"),
        ("data", {}, r"preset.data takes variants, each with the settings of its images"),
    ],
)
def test_what_a_preset_does_not_take(key, value, message):
    with pytest.raises(UserError, match=message):
        Preset.of({**NODE, key: value})


def test_layers_of_settings_and_how_they_are_typed():
    assert merged({"a": 1, "b": 2}, {"b": None, "c": 3}, {"a": 4}) == {"c": 3, "a": 4}
    assert typed("optimizer.lr", 0.01) == "optimizer.lr=0.01"
    assert typed("backbone.widths", [16, 32]) == "backbone.widths=[16,32]"
    assert typed("head.bias", True) == "head.bias=true"
    assert typed("source", "it's here/run") == "source='it\\'s here/run'"
    assert typed("dataset.classes", ["a b", "c"]) == 'dataset.classes=["a b","c"]'
