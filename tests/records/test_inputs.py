"""What a run records of its classes and of what its network takes."""

import json

import pytest

from gapfc.records.inputs import FIXED, Inputs, spelled

INPUTS = Inputs(
    classes=("cat", "dog"),
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.1),
    size=(40, 40),
    image_size=(32, 24),
    canvas=(40, 40),
    resize="crop",
    max_size=200_000,
    size_multiple=8,
    crop_share=0.875,
)


def test_what_is_written_is_read_through_json():
    record = json.loads(json.dumps({"test": None, **INPUTS.as_record()}))
    assert Inputs.from_record(record) == INPUTS
    assert record["input_transform"]["image_size"] == [32, 24]
    assert record["input_transform"].items() >= FIXED.items()
    assert Inputs.from_record({"status": "completed"}) is None


def test_a_name_that_is_no_unicode_can_be_read_again():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    record = json.loads(json.dumps(INPUTS.as_record() | {"classes": [spelled(name), "dog"]}))
    assert Inputs.from_record(record).classes == ("caf\\udce9", "dog")
    assert spelled("café") == "café"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mean", [0.5, 0.5]), ("mean", [0, 0, "0"]), ("mean", [float("nan")] * 3), ("mean", None),
        ("std", [0.1, 0.0, 0.1]), ("std", [True] * 3), ("size", [40]), ("size", [40, 10**9]),
        ("size", [0, 40]), ("size", [40.0, 40]), ("size", None), ("image_size", [32, 41]),
        ("image_size", {}), ("image_size", None), ("canvas", [41, 41]), ("resize", "stretch"),
        ("resize", ["crop"]), ("resampler", None), ("max_size", 0), ("size_multiple", 2**40),
        ("size_multiple", None), ("channels", "bgr"), ("interpolation", "nearest"),
        ("resize", "pad"),  # and a crop_share
    ],
)  # fmt: skip
def test_a_strangers_word_is_checked(key, value):
    record = INPUTS.as_record()
    record["input_transform"][key] = value
    with pytest.raises(ValueError, match="input_transform"):
        Inputs.from_record(record)
    del record["input_transform"][key]
    with pytest.raises(ValueError, match=f"{key} is missing"):
        Inputs.from_record(record)


@pytest.mark.parametrize(
    "classes", [None, "ab", ["a"], ["a", ""], ["a", 1], ["a", "b" * 2000], {"a": 1, "b": 2}]
)
def test_so_are_the_classes(classes):
    with pytest.raises(ValueError, match="classes should be a list"):
        Inputs.from_record(INPUTS.as_record() | {"classes": classes})


@pytest.mark.parametrize(
    "share", [0, -0.5, 0.05, 1.01, 1e-300, float("nan"), float("inf"), True, "0.9", None, [0.9], {}]
)
def test_so_is_the_share_of_a_crop(share):
    record = INPUTS.as_record()
    record["input_transform"]["crop_share"] = share
    with pytest.raises(ValueError, match=r"input_transform\.crop_share"):
        Inputs.from_record(record)


def test_records_of_before_crop_all():
    record = INPUTS.as_record()
    del record["input_transform"]["crop_share"]
    assert Inputs.from_record(record).crop_share == 1


def test_a_share_without_one_size_or_without_a_crop_is_nothing_that_gapfc_wrote():
    for changed in ({"resize": "squash"}, {"image_size": None, "canvas": None}):
        record = INPUTS.as_record()
        record["input_transform"] |= changed
        with pytest.raises(ValueError, match="has a crop_share and does not crop"):
            Inputs.from_record(record)


def test_a_record_is_whole():
    with pytest.raises(ValueError, match="input_transform should be"):
        Inputs.from_record({"classes": ["a", "b"]})
