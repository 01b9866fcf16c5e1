"""probes.json and probes.npz: packed bits, what each image adds, and a stranger's files."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapfc.records.npz import write_npz
from gapfc.records.probes import (
    CLEAN,
    IMAGES,
    PROBES,
    Probes,
    read_probes,
    read_values,
    write_probes,
)

VALUES = {"shift": {"zero": {"4": {"accuracy": np.float32(0.5), "ece": float("nan")}}}}


def example(n=11, variants=4, seed=0):
    draw = np.random.default_rng(seed)
    names = {CLEAN: 1, "shift.zero.4.accuracy": variants, "shift.zero.4.consistency": variants}
    yes = {name: draw.random((count, n)) < 0.6 for name, count in names.items()}
    data = {"name": "digits", "split": "test", "images": n}
    return Probes(data, VALUES, draw.permutation(10**6)[:n], yes)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(n=st.integers(1, 40), variants=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_a_round_trip(n, variants, seed, tmp_path):
    made = example(n, variants, seed)
    write_probes(tmp_path, made)
    found = read_probes(tmp_path)
    assert found.data == made.data
    assert found.values == {"shift": {"zero": {"4": {"accuracy": 0.5, "ece": None}}}}
    assert read_values(tmp_path) == found.values
    assert found.index.tolist() == made.index.tolist()
    assert found.yes.keys() == made.yes.keys()
    for name, bits in made.yes.items():
        assert found.yes[name].dtype == bool
        assert np.array_equal(found.yes[name], bits)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 40), variants=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_what_images_add_has_the_metric_as_its_mean(n, variants, seed):
    probes = example(n, variants, seed)
    clean, moved = probes.yes[CLEAN], probes.yes["shift.zero.4.accuracy"]
    for name, bits in probes.yes.items():
        each = probes.per_image(name)
        assert each.shape == (n,)
        assert each.tolist() == pytest.approx([column.sum() / len(bits) for column in bits.T])
        assert each.mean() == pytest.approx(bits.mean())
    drop = probes.per_image("shift.zero.4.drop")
    assert drop.mean() == pytest.approx(clean.mean() - moved.mean())
    assert drop[0] == pytest.approx(float(clean[0, 0]) - moved[:, 0].mean())
    assert ((drop >= -1) & (drop <= 1)).all()


@pytest.mark.parametrize(
    "metric", ["shift.zero.4.ece", "shift.zero.8.drop", "drop", "", "accuracy"]
)
def test_of_other_metrics_images_say_nothing(metric):
    assert example().per_image(metric) is None


def test_without_the_clean_images_there_is_no_drop():
    probes = example()
    del probes.yes[CLEAN]
    assert probes.per_image("shift.zero.4.drop") is None


def test_a_run_without_probes(tmp_path):
    assert read_values(tmp_path) == {}
    with pytest.raises(FileNotFoundError):
        read_probes(tmp_path)
    write_probes(tmp_path, example())
    (tmp_path / IMAGES).unlink()
    assert read_values(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_probes(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "probes.json is not of this gapfc"),
        ('{"schema": 2, "data": {}, "probe": {}}', "probes.json is not of this gapfc"),
        ('{"schema": 1, "data": {}}', "probes.json holds no probes"),
        ('{"schema": 1, "data": {}, "probe": []}', "probes.json holds no probes"),
        ('{"schema": 1, "data": {}, "probe": {"a": NaN}}', "NaN is not a number"),
        ("[" * 10**5, "nested too deeply"),
        ('{"schema": 1', "Expecting"),
    ],
)
def test_strange_numbers_are_refused(text, message, tmp_path):
    write_probes(tmp_path, example())
    (tmp_path / PROBES).write_text(text)
    for read in (read_values, read_probes):
        with pytest.raises(ValueError, match=message):
            read(tmp_path)


INDEX = np.arange(11)
BITS = np.zeros((4, 2), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "does not say which images it is of"),
        ({"index": INDEX.astype(np.int32)}, "does not say which images"),
        ({"index": INDEX[:0]}, "does not say which images"),
        ({"index": np.zeros(11, np.int64)}, "an image twice"),
        ({"index": INDEX - 1}, "an image twice, or none that can be"),
        ({"index": np.arange(12)}, "are not of the same images"),
        ({"index": INDEX, "a": BITS.astype(np.int8)}, "a is not of 11 images"),
        ({"index": INDEX, "a": BITS[0]}, "a is not of 11 images"),
        ({"index": INDEX, "a": np.zeros((4, 11), np.uint8)}, "a is not of 11 images"),
        ({"index": INDEX, "a": BITS[:0]}, "a is empty"),
        ({"index": INDEX, "\x1b[31m": BITS[0]}, r": \\x1b\[31m is not of 11 images"),
    ],
)
def test_strange_bits_are_refused(arrays, message, tmp_path):
    write_probes(tmp_path, example())
    write_npz(tmp_path / IMAGES, arrays)
    with pytest.raises(ValueError, match=message):
        read_probes(tmp_path)


def test_probes_json_is_for_people_too(tmp_path):
    write_probes(tmp_path, example())
    content = json.loads((tmp_path / PROBES).read_text())
    assert list(content) == ["schema", "gapfc", "data", "probe"]
    assert content["data"] == {"name": "digits", "split": "test", "images": 11}
