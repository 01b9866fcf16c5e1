"""`gapfc train` as a user runs it: what a run leaves behind, and that it can be trusted."""

import csv
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from processes import run, start
from sklearn.datasets import load_digits
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gapfc.experiment.experiment import Experiment
from gapfc.records.predictions import read_predictions
from gapfc.records.results import read_results
from gapfc.settings.compose import Composer

TINY = [
    "train",
    "backbone.widths=[8,8,16,16]",
    "backbone.pool_after=[1,2]",
    "dataset.image_size=12",
    "dataset.train_limit=200",
    "dataset.test_limit=100",
    "trainer.device=cpu",
    "trainer.precision=fp32",
    "trainer.batch_size=16",
]
TIMES = ("images_per_second", "seconds")
FILES = {
    "config.yaml",
    "results.json",
    "metrics.csv",
    "predictions.npz",
    "run.log",
    "checkpoints/best.pt",
    "checkpoints/last.pt",
    "checkpoints/previous.pt",
}


def directories(folder):
    return sorted(path.parent for path in Path(folder).glob("outputs/*/*/*/*/*/config.yaml"))


def metrics(directory):
    with (directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def untimed(directory):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in metrics(directory)]


def weights(directory, name):
    return torch.load(directory / "checkpoints" / name, weights_only=True)["model"]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder, output and directory of a completed run."""
    folder = tmp_path_factory.mktemp("done")
    code, out, err = run(
        *TINY, "trainer.epochs=6", "trainer.targets=[0.2,0.3,1.0]", "seed=3", folder=folder
    )
    assert (code, err) == (0, "")
    (directory,) = directories(folder)
    return folder, out, directory


def test_the_run_directory_holds_what_the_design_says(done):
    folder, _, directory = done
    found = {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}
    (events,) = {name for name in found if name.startswith("events.out.tfevents.")}
    assert found - {events, ".lock"} == FILES
    assert directory.parent == folder / "outputs/train/digits/convnet/gap"
    assert re.fullmatch(r"\d{8}-\d{6}-s3", directory.name)
    beside = {p.name for p in folder.iterdir() if not p.name.startswith((".out", ".err"))}
    assert beside == {"outputs"}


def test_the_config_is_the_resolved_one_and_names_the_command(done):
    _, _, directory = done
    text = (directory / "config.yaml").read_text()
    assert text.startswith("# gapfc train 'backbone.widths=[8,8,16,16]'")
    config = OmegaConf.create(text)
    assert config.seed == 3
    assert config.head.name == "gap"
    assert config.trainer.epochs == 6
    assert "${" not in text


def test_every_result_is_there_and_they_agree(done):
    _, _, directory = done
    results, rows = read_results(directory), metrics(directory)
    assert results["status"] == "completed"
    assert results["error"] is None
    said = {key: results[key] for key in ("command", "seed", "dataset", "backbone", "head")}
    assert said == {
        "command": "train",
        "seed": 3,
        "dataset": "digits",
        "backbone": "convnet",
        "head": "gap",
    }
    assert (results["device"], results["precision"]) == ("cpu", "fp32")
    assert results["torch"] == torch.__version__
    assert re.fullmatch(r"[0-9a-f]{12}", results["group"])

    # 3x3 convolutions without bias, batch norms; maps of 12, 6, 3 and 3 pixels.
    backbone = 9 * (3 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 2 * (8 + 8 + 16 + 16)
    head = 16 * 10 + 10
    assert results["parameters"] == {
        "backbone": backbone,
        "head": head,
        "total": backbone + head,
        "trainable": backbone + head,
    }
    products = 9 * (144 * 3 * 8 + 36 * 8 * 8 + 9 * 8 * 16 + 9 * 16 * 16)
    assert results["macs"] == {"backbone": products, "head": 160, "total": products + 160}
    assert results["input"] == [3, 12, 12]
    assert results["feature_map"] == [16, 3, 3]

    steps = 200 // 16
    assert (results["epochs"], results["steps"]) == (6, 6 * steps)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [int(row["step"]) for row in rows] == [steps * n for n in range(1, 7)]
    assert results["train_seconds"] == float(rows[-1]["seconds"]) > 0
    expected_speed = 6 * steps * 16 / results["train_seconds"]
    assert results["images_per_second"] == pytest.approx(expected_speed, rel=1e-9)
    assert results["peak_memory_bytes"] > 10 * 2**20

    for split, count in (("train", 200), ("val", 143), ("test", 100)):
        scores = results[split]
        right = scores["accuracy"] * count
        assert right == pytest.approx(round(right), abs=1e-9)
        assert scores["accuracy"] <= scores["top5"] <= 1
        assert scores["nll"] > 0
        assert 0 <= scores["ece"] <= 1
        assert 0 < scores["brier"] < 2
    gap = results["generalization_gap"]
    assert gap["accuracy"] == results["train"]["accuracy"] - results["test"]["accuracy"]
    assert gap["nll"] == results["test"]["nll"] - results["train"]["nll"]


def test_the_network_learns(done):
    _, _, directory = done
    rows = metrics(directory)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert read_results(directory)["test"]["accuracy"] > 0.3


def test_the_validation_result_is_that_of_the_best_epoch(done):
    _, _, directory = done
    results, rows = read_results(directory), metrics(directory)
    ranks = [(float(row["val_accuracy"]), -float(row["val_loss"])) for row in rows]
    assert results["best_epoch"] == ranks.index(max(ranks)) + 1
    best = rows[results["best_epoch"] - 1]
    assert results["val"]["accuracy"] == float(best["val_accuracy"])
    assert results["val"]["nll"] == float(best["val_loss"])
    assert results["val"]["top5"] == float(best["val_top5"])


def test_convergence_is_read_off_the_validation_curve(done):
    _, _, directory = done
    found, rows = read_results(directory)["convergence"], metrics(directory)
    curve = [float(row["val_accuracy"]) for row in rows]
    inner = sum((a + b) / 2 for a, b in itertools.pairwise(curve))
    assert found["area_under_curve"] == pytest.approx(inner / 5)
    targets = {"0.20": 0.2, "0.30": 0.3, "1.00": 1.0}
    assert found["to_accuracy"].keys() == targets.keys()
    for key, target in targets.items():
        check_reached(found["to_accuracy"][key], target, curve, rows)
    assert found["to_accuracy"]["0.20"]["epochs"] is not None
    assert found["to_accuracy"]["1.00"] == {"epochs": None, "steps": None, "seconds": None}
    for key, reached in found["to_fraction_of_best"].items():
        check_reached(reached, float(key) * max(curve), curve, rows)


def check_reached(reached, target, curve, rows):
    """Where the interpolated curve first meets the target, on all three axes."""
    index = next((i for i, accuracy in enumerate(curve) if accuracy >= target), None)
    if index is None:
        assert reached == {"epochs": None, "steps": None, "seconds": None}
        return
    axes = {"epochs": "epoch", "steps": "step", "seconds": "seconds"}
    for name, column in axes.items():
        here, before = (float(rows[i][column]) for i in (index, max(index - 1, 0)))
        share = 1.0
        if index:
            share = (target - curve[index - 1]) / (curve[index] - curve[index - 1])
        assert reached[name] == pytest.approx(before + share * (here - before)), name


def test_the_accuracies_are_those_of_the_weights_on_disk(done):
    """best.pt, loaded into a model of one's own, gives the confusion and accuracy recorded."""
    _, _, directory = done
    config = OmegaConf.load(directory / "config.yaml")
    experiment = Experiment(config)
    experiment.model.load_state_dict(weights(directory, "best.pt"))
    results = read_results(directory)
    for split in ("train", "val", "test"):
        again = experiment.evaluate(split)
        confusion, each = again.pop("confusion"), again.pop("each")
        labels = getattr(experiment.dataset, split).labels
        assert confusion.sum(1).tolist() == torch.bincount(labels, minlength=10).tolist()
        recorded = results[split]["accuracy"]
        assert recorded == pytest.approx(confusion.diagonal().sum().item() / len(labels))
        for name, value in again.items():
            assert results[split][name] == pytest.approx(value), name
        assert again.keys() == results[split].keys()
    said = read_predictions(directory)
    for name in ("label", "prediction"):
        assert getattr(said, name).tolist() == getattr(each, name).tolist()
    for name in ("p_label", "p_prediction"):
        assert getattr(said, name).tolist() == pytest.approx(getattr(each, name).tolist())


def test_predictions_are_of_the_test_images_at_their_places(done):
    _, _, directory = done
    results, said = read_results(directory), read_predictions(directory)
    assert len(said) == 100
    assert said.right.mean() == results["test"]["accuracy"]
    assert said.label.tolist() == load_digits().target[said.index].tolist()
    assert -np.log(said.p_label).mean() == pytest.approx(results["test"]["nll"], rel=1e-5)
    assert (said.p_label <= said.p_prediction).all()


def test_tensorboard_holds_the_same_numbers(done):
    _, _, directory = done
    events = EventAccumulator(str(directory))
    events.Reload()
    results, rows = read_results(directory), metrics(directory)
    validation = events.Scalars("accuracy/val")
    assert [event.step for event in validation] == [int(row["step"]) for row in rows]
    assert [e.value for e in validation] == pytest.approx([float(r["val_accuracy"]) for r in rows])
    (final,) = events.Scalars("final/test_accuracy")
    assert final.value == pytest.approx(results["test"]["accuracy"])
    assert final.step == results["steps"]
    (final,) = events.Scalars("final/test_macro_f1")
    assert final.value == pytest.approx(results["test"]["macro_f1"])
    assert not [tag for tag in events.Tags()["scalars"] if "recall" in tag or "precision" in tag]
    assert events.Tags()["images"]


def test_the_terminal_says_what_came_out(done):
    folder, out, directory = done
    results = read_results(directory)
    assert f"  run          {directory.relative_to(folder)}\n" in out
    assert out.endswith(
        "  differences  gapfc compare outputs\n  curves       gapfc dashboard outputs\n"
    )
    assert f"{results['test']['accuracy']:.2%}" in out
    assert len(re.findall(r"^ +\d/6 ", out, re.MULTILINE)) == 6
    assert "\r" not in out
    assert "\x1b" not in out
    log = (directory / "run.log").read_text()
    assert out.count("* best so far") == log.count("* best so far") == 1
    assert "residency" not in log  # all images fit, as nearly always
    assert len(re.findall(r"INFO +\d/6 ", log)) == 6


@pytest.mark.slow
def test_the_log_of_a_run_that_broke_has_the_traceback(tmp_path):
    (tmp_path / "broken.py").write_text(
        "from gapfc.heads import GAP\n"
        "class Broken(GAP):\n"
        "    def forward(self, features):\n"
        "        if self.training:\n"
        "            raise KeyError('a bug of mine')\n"
        "        return super().forward(features)\n"
    )
    code, _, err = run(*TINY, "head._target_=broken.Broken", folder=tmp_path)
    assert code == 1
    assert err.count("Traceback") == 1
    (directory,) = directories(tmp_path)
    assert read_results(directory)["status"] == "failed"
    log = (directory / "run.log").read_text()
    assert re.search(r"ERROR +an error that gapfc did not expect\nTraceback", log)
    assert 'broken.py", line 5, in forward' in log
    assert "KeyError: 'a bug of mine'" in log


@pytest.mark.slow
def test_two_runs_at_once_share_nothing_and_repeat_bit_for_bit(done):
    folder, _, directory = done
    options = [*TINY, "trainer.epochs=6", "trainer.targets=[0.2,0.3,1.0]", "seed=3"]
    both = [start(*options, "output_root=twice/outputs", folder=folder) for _ in range(2)]
    assert [command.wait() for command in both] == [0, 0]
    one, other = directories(folder / "twice")
    assert one != other
    for again in (one, other):
        assert untimed(again) == untimed(directory)
        for name in ("best.pt", "last.pt"):
            assert equal(weights(again, name), weights(directory, name))
        assert read_results(again)["group"] == read_results(directory)["group"]
        for split in ("train", "val", "test"):
            assert read_results(again)[split] == read_results(directory)[split]


@pytest.mark.slow
def test_another_seed_is_another_run_of_the_same_group(done, tmp_path):
    _, _, directory = done
    options = ["trainer.epochs=6", "trainer.targets=[0.2,0.3,1.0]", "seed=4"]
    assert run(*TINY, *options, folder=tmp_path)[0] == 0
    (other,) = directories(tmp_path)
    assert read_results(other)["group"] == read_results(directory)["group"]
    assert untimed(other)[0] != untimed(directory)[0]


def experiment(*overrides):
    return Experiment(Composer([]).compose("train", [*TINY[1:], *overrides]))


@pytest.mark.parametrize("extra", [[], ["augment=cutout", "augment.mixup=0.2"]])
def test_two_heads_see_the_same_batches_from_the_same_weights(extra):
    one, other = experiment("head=gap", *extra), experiment("head=fc", *extra)
    assert equal(one.model.backbone.state_dict(), other.model.backbone.state_dict())
    for epoch in (0, 5):
        torch.rand(7)
        pairs = zip(one.batches.epoch(epoch), other.batches.epoch(epoch), strict=True)
        count = 0
        for (images, labels), (other_images, other_labels) in pairs:
            assert torch.equal(images, other_images)
            assert torch.equal(labels, other_labels)
            count += 1
        assert count == one.batches.steps == 12


@pytest.mark.slow
def test_a_sweep_goes_on_past_a_failing_head_and_says_so(tmp_path):
    options = [*TINY, "dataset.image_size=8", "trainer.epochs=1", "-m"]
    code, out, err = run(*options, "head=fc,spp_fixed,gap", folder=tmp_path)
    assert code == 1
    assert "Traceback" not in out + err
    assert "1 of 3 runs failed" in err
    assert "head=spp_fixed" in err
    statuses = {d.parent.name: read_results(d)["status"] for d in directories(tmp_path)}
    assert statuses == {"fc": "completed", "spp_fixed": "failed", "gap": "completed"}
    (failed,) = (d for d in directories(tmp_path) if d.parent.name == "spp_fixed")
    assert "head.windows" in read_results(failed)["error"]


def test_a_loss_that_explodes_fails_with_words(tmp_path):
    code, out, err = run(*TINY, "optimizer.lr=1e12", "trainer.epochs=3", folder=tmp_path)
    assert code == 1
    assert "Traceback" not in out + err
    (directory,) = directories(tmp_path)
    text = (directory / "results.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    results = json.loads(text)
    assert results["status"] == "failed"
    assert re.search(r"The loss became \S+ at step \d+ .* at learning rate", results["error"])
    assert "last finite one was" in results["error"]
    assert results["error"] in out + err
    assert results["test"] is None


def test_a_bar_is_drawn_when_asked_for(tmp_path):
    options = [*TINY, "trainer.epochs=2", "trainer.progress=true"]
    code, out, err = run(*options, folder=tmp_path)
    assert code == 0
    assert "\r" in err
    assert re.search(r"epoch 2/2 +\d+%\|.*\| \d+ s left, loss \d+\.\d+, accuracy \d+\.\d+%\s", err)
    assert len(re.findall(r"^ +\d/2 ", out + err, re.MULTILINE)) == 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_a_terminal_gets_a_bar_of_its_own_accord(tmp_path):
    import fcntl
    import struct
    import termios

    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 140, 0, 0))
    command = start(*TINY, "trainer.epochs=2", folder=tmp_path, terminal=os.ttyname(writer))
    assert command.wait() == 0
    os.close(writer)
    drawn = b""
    try:
        while part := os.read(reader, 65536):
            drawn += part
    except OSError:  # the other end is closed and all is read
        pass
    os.close(reader)
    assert re.search(rb"epoch 2/2, batch \d+/\d+ +\d+%\|.*\| .* left, loss \S+, .*images/s", drawn)


@pytest.mark.slow  # tests/cli/test_cli.py and tests/settings have as many without a whole command
@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("trainer.epochs=0", "trainer.epochs"),
        ("trainer.epochs=1.5", "trainer.epochs"),
        ("trainer.epochs=abc", "trainer.epochs"),
        ("trainer.epochs=null", "trainer.epochs"),
        ("trainer.batch_size=0", "trainer.batch_size"),
        ("trainer.batch_size=-1", "trainer.batch_size"),
        ("trainer.eval_batch_size=0", "trainer.eval_batch_size"),
        ("trainer.device=tpu", "trainer.device"),
        ("trainer.precision=fp16", "trainer.precision"),
        ("trainer.precision=int8", "trainer.precision"),
        ("trainer.targets=[2]", "trainer.targets"),
        ("dataset.eval_sizes=[abc]", "dataset.eval_sizes"),
        ("trainer.targets=0.9", "trainer.targets"),
        ("trainer.targets=[high]", "trainer.targets"),
        ("trainer.progress=maybe", "trainer.progress"),
        ("trainer.ema=2", "trainer.ema"),
        ("trainer.ema=yes", "trainer.ema"),
        ("trainer.clip_norm=abc", "trainer.clip_norm"),
        ("trainer.early_stopping=abc", "trainer.early_stopping"),
        ("trainer.early_stopping=0", "trainer.early_stopping"),
        ("trainer.accumulate=0", "trainer.accumulate"),
        ("trainer.label_smoothing=1", "trainer.label_smoothing"),
        ("trainer.channels_last=7", "trainer.channels_last"),
        ("seed=-1", "seed"),
        ("seed=abc", "seed"),
        ("seed=1.5", "seed"),
        ("seed=99999999999999999999999", "seed"),
        ("optimizer.lr=abc", "optimizer.lr"),
        ("optimizer.lr=null", "optimizer.lr"),
        ("optimizer.lr=-1", "optimizer"),
        ("optimizer.momentum=abc", "optimizer"),
        ("optimizer=custom", "optimizer._target_"),
        ("schedule.warmup_epochs=abc", "schedule.warmup_epochs"),
        ("schedule.warmup_epochs=-1", "schedule.warmup_epochs"),
        ("dataset.shots=abc", "dataset.shots"),
        ("dataset.image_size=2", "dataset.image_size"),
        ("dataset.image_size=0", "dataset.image_size"),
        ("dataset.val_fraction=2", "dataset.val_fraction"),
        ("dataset.val_fraction=abc", "dataset.val_fraction"),
        ("dataset.train_limit=0", "dataset.train_limit"),
        ("dataset.train_limit=abc", "dataset.train_limit"),
        ("dataset.split_seed=abc", "dataset.split_seed"),
        ("dataset.mean=abc", "dataset.mean"),
        ("augment.mixup=-1", "augment.mixup"),
        ("augment.mixup=abc", "augment.mixup"),
        ("augment.translate=abc", "augment.translate"),
        ("head.dropout=2", "head.dropout"),
        ("head.dropout=abc", "head.dropout"),
        ("head.hidden=abc", "head.hidden"),
        ("head.lr_multiplier=abc", "head.lr_multiplier"),
        ("backbone.widths=[]", "backbone.widths"),
        ("backbone.widths=abc", "backbone.widths"),
        ("backbone.trainable=some", "backbone.trainable"),
        ("output_root=/proc/nowhere", "output_root"),
        ("resume=nowhere", "nowhere"),
    ],
)
def test_a_setting_that_cannot_be_is_named_without_a_traceback(setting, named, tmp_path):
    code, out, err = run(*TINY, "trainer.epochs=1", setting, folder=tmp_path)
    assert "Traceback" not in out + err
    assert code == 2
    assert err.startswith("gapfc: error: ")
    assert named in err
    assert len(err.strip().splitlines()) <= 3
    assert not directories(tmp_path)


def test_the_installed_command_itself(tmp_path):
    """One run by the console script, outside any repository, with nothing preloaded."""
    program = Path(sys.executable).with_name("gapfc")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "gapfc"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *TINY, "trainer.epochs=1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (directory,) = directories(tmp_path)
    assert read_results(directory)["status"] == "completed"


def test_the_accuracy_at_other_sizes(tmp_path):
    options = [
        *TINY,
        "trainer.epochs=1",
        "dataset.eval_sizes=[12,[12,20]]",
        "dataset.test_limit=50",
    ]
    code, out, err = run(*options, folder=tmp_path)
    assert code == 0, err
    (directory,) = directories(tmp_path)
    results = read_results(directory)
    at_size = results["test_at_size"]
    assert f"at 12×20   {at_size['12x20']['accuracy']:9.2%}" in out
    assert at_size.keys() == {"12x12", "12x20"}
    for name, value in results["test"].items():
        assert at_size["12x12"][name] == pytest.approx(value), name
    assert 0 <= at_size["12x20"]["accuracy"] <= 1
    assert at_size["12x20"]["nll"] != at_size["12x12"]["nll"]


ANY_SIZE = ["gap", "spp", "attn", "lse", "gmp", "gapgmp", "gem", "nin", "sppf", "spp_fixed"]


@pytest.mark.slow
@pytest.mark.parametrize("head", ANY_SIZE)
def test_photos_of_many_sizes_one_of_them_corrupt(head, tmp_path):
    """Native sizes from a folder, and scores at another size; there are no test images."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for label in range(2):
            folder = tmp_path / split / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                size = (32, 64, 3) if number % 2 else (48, 32, 3)
                pixels = draw.integers(0, 256, size, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "train" / "class0" / "note.jpg").write_text("no picture")
    options = [
        *(o for o in TINY if not o.startswith("dataset.")), "trainer.epochs=1", f"head={head}",
        "dataset=folder", "dataset.train_dir=train", "dataset.val_dir=val", "dataset.workers=0",
        "dataset.image_size=native", "dataset.size_multiple=16", "dataset.eval_sizes=[24]",
    ]  # fmt: skip
    code, _, err = run(*options, folder=tmp_path)
    assert code == 2
    assert "note.jpg (not an image)" in err
    code, _, err = run(*options, "dataset.skip_corrupt=true", folder=tmp_path)
    assert code == 0, err
    (directory,) = directories(tmp_path)
    assert "note.jpg (not an image)" in (directory / "run.log").read_text()
    results = read_results(directory)
    assert results["status"] == "completed"
    assert results["train"]["top5"] is results["test"] is None
    assert "test_at_size" not in results
    assert not (directory / "predictions.npz").exists()
    assert results["val_at_size"]["24x24"]["nll"] != results["val"]["nll"]


def test_settings_may_stand_on_both_sides_of_an_option(tmp_path):
    code, out, err = run("train", "seed=3", "--cfg", "job", "head=fc", folder=tmp_path)
    assert (code, err) == (0, "")
    assert OmegaConf.create(out).head.name == "fc"
    assert OmegaConf.create(out).seed == 3
