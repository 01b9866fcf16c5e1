"""Photos of a frequent and a rare class, as a user trains and compares on them."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from processes import run
from sklearn.metrics import balanced_accuracy_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from whole_runs import BACKBONE, SMALL, train

from gapfc.records.predictions import read_predictions
from gapfc.records.results import read_results

COUNTS = {"bee": 60, "wasp": 15}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root, random = tmp_path_factory.mktemp("uneven") / "photos", np.random.default_rng(0)
    for place, (name, count) in enumerate(COUNTS.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(40, 120 + 40 * place, (14, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def asked(photos, *settings):
    return ("dataset=folder", f"dataset.train_dir={photos}", "dataset.test_fraction=0.4",
            "dataset.image_size=12", "dataset.val_fraction=0.2", "dataset.workers=0",
            "augment=none", "trainer.batch_size=8", *settings)  # fmt: skip


@pytest.fixture(scope="module")
def weighted(photos):
    """What the terminal said, and the directory of a run with weighted classes."""
    folder = photos.parent / "weighted"
    folder.mkdir()
    settings = asked(photos, "trainer.class_weights=balanced", "trainer.epochs=3")
    code, out, err = run("train", *BACKBONE, *SMALL, *settings, folder=folder)
    assert (code, err) == (0, "")
    (results,) = folder.rglob("results.json")
    return out, results.parent


def test_balanced_accuracy_stands_beside_accuracy(weighted):
    out, directory = weighted
    results, said = read_results(directory), read_predictions(directory)
    expected = balanced_accuracy_score(said.label, said.prediction)
    assert results["test"]["balanced_accuracy"] == pytest.approx(expected, rel=1e-12)
    assert results["test"]["class_sizes"] == [24, 6]
    table = out[out.index("accuracy  balanced       NLL") :].splitlines()
    (line,) = (line for line in table if line.startswith("  test"))
    assert line.split()[1:3] == [f"{results['test']['accuracy']:.2%}", f"{expected:.2%}"]
    assert "  classes   count 0.621 to 2.57 in the loss (trainer.class_weights=balanced)" in out
    assert "  chosen    by balanced accuracy of validation" in out
    assert "loss  balanced       images/s" in out
    events = EventAccumulator(str(directory))
    events.Reload()
    (final,) = events.Scalars("final/test_balanced_accuracy")
    assert final.value == pytest.approx(expected)


def test_the_best_epoch_is_that_of_the_best_balanced_accuracy(weighted):
    _, directory = weighted
    results = read_results(directory)
    with (directory / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    scores = [(float(r["val_balanced_accuracy"]), -float(r["val_loss"])) for r in rows]
    assert results["best_epoch"] == 1 + scores.index(max(scores))
    assert results["val"]["balanced_accuracy"] == pytest.approx(max(scores)[0], rel=1e-12)


@pytest.mark.slow
def test_a_balanced_run_repeats_and_warns_of_both_at_once(photos, tmp_path):
    settings = asked(photos, "dataset.sampler=balanced", "trainer.class_weights=[1,4]")
    code, out, err = run("train", *BACKBONE, *SMALL, *settings, folder=tmp_path)
    assert (code, err) == (0, "")
    assert "are seen equally often (dataset.sampler=balanced)" in out
    assert "both make up for uneven classes: together they do so twice over" in out
    first = next(tmp_path.rglob("results.json")).parent
    again = train(tmp_path, *settings, "rerun=true")
    first, again = (read_results(path)["test"] for path in (first, again))
    assert first == again


@pytest.mark.slow
def test_compare_has_a_column_for_it_and_takes_it_as_metric(photos, weighted, tmp_path):
    for seed in (0, 1):
        train(tmp_path, *asked(photos, f"seed={seed}"))
    plain = tmp_path / "outputs"
    shutil.copytree(plain, tmp_path / "before")
    for file in (tmp_path / "before").rglob("results.json"):  # as runs of before were
        results = json.loads(file.read_text())
        for split in ("train", "val", "test"):
            del results[split]["class_sizes"]
        results["head"], results["group"] = "old", "0123456789ab"
        file.write_text(json.dumps(results))
        config = file.with_name("config.yaml")
        config.write_text(config.read_text().replace("  sampler: shuffle\n", ""))
    _, out, err = run("compare", "outputs", "--csv", "table.csv", folder=tmp_path)
    assert "balanced" in out, out + err
    with (tmp_path / "table.csv").open() as file:
        (row,) = csv.DictReader(file)
    values = [read_results(p)["test"]["balanced_accuracy"] for p in plain.rglob("results.json")]
    assert float(row["balanced_accuracy"]) == pytest.approx(np.mean(values))
    _, out, err = run("compare", "outputs", "--metric", "test.balanced_accuracy", folder=tmp_path)
    assert f"{100 * np.mean(values):.1f}" in out, out + err
    assert "test.balanced_accuracy" in out.replace("\n", "")
    code, out, err = run("compare", "before", folder=tmp_path)
    assert code == 0, out + err
    assert "balanced" not in out
    code, out, err = run("compare", "before", "outputs", "--by", "dataset", folder=tmp_path)
    assert code == 0, out + err


@pytest.mark.slow
def test_weights_and_a_sampler_that_cannot_be(photos, tmp_path):
    settings = asked(photos, "dataset.sampler=balanced", "dataset.image_size=native",
                     "trainer.class_weights=[1,2,3]")  # fmt: skip
    code, _, err = run("train", *BACKBONE, *SMALL, *settings, folder=tmp_path)
    assert code == 2
    assert "trainer.class_weights has 3 numbers and the data 2 classes" in err
    code, _, err = run("train", *BACKBONE, *SMALL, *settings[:-1], folder=tmp_path)
    assert code == 2
    assert "dataset.sampler=balanced needs images of one size" in err


@pytest.mark.slow
def test_a_linear_probe_weighs_classes(photos, weighted, tmp_path):
    _, source = weighted
    said = {}
    for sampler in ("shuffle", "balanced"):
        made = train(tmp_path, *asked(photos, f"dataset.sampler={sampler}"), f"source={source}",
                     "protocol=linear_probe", command="transfer")  # fmt: skip
        said[sampler] = read_results(made)
    losses = {sampler: results["transfer"]["probe"]["loss"] for sampler, results in said.items()}
    assert losses["shuffle"] != losses["balanced"]
