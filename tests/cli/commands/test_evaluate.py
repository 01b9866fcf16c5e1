"""`gapfc evaluate` as a user runs it: what is measured, what is refused, what is kept."""

import json
import shutil
import signal

import numpy as np
import pytest
import yaml
from PIL import Image
from processes import run, start, until
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_train import directories

from gapfc.evaluation.evaluate import evaluate_runs
from gapfc.probes.registry import PROBES
from gapfc.records.lock import Lock
from gapfc.records.predictions import read_predictions
from gapfc.records.probes import read_probes
from gapfc.records.results import read_results
from gapfc.settings.trust import Vouched

SMALL = [
    "backbone.widths=[4,6]", "backbone.pool_after=[1]", "dataset.image_size=8", "trainer.epochs=2",
    "trainer.batch_size=8",
    "dataset.train_limit=150", "dataset.test_limit=60", "trainer.device=cpu",
    "trainer.precision=fp32", "schedule=constant", "optimizer.lr=0.01",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run under gap and one under fc, not measured yet."""
    folder = tmp_path_factory.mktemp("evaluate")
    code, _, err = run("train", "-m", "head=gap,fc", *SMALL, folder=folder)
    assert code == 0, err
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of them to write into."""
    shutil.copytree(trained / "outputs", tmp_path / "outputs")
    return tmp_path


def of(folder, head):
    (found,) = (d for d in directories(folder) if f"/{head}/" in str(d))
    return found


def evaluate(folder, *arguments):
    return run("evaluate", *arguments, folder=folder)


def changed(directory, change):
    """Change the config of a run."""
    path = directory / "config.yaml"
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(f"# gapfc train\n{yaml.safe_dump(config)}")


@pytest.mark.slow
def test_a_folder_of_runs(folder):
    code, out, err = evaluate(folder, "outputs", "--probe", "shift,size,calibration")
    assert code == 0, err
    before = {}
    for head in ("gap", "fc"):
        directory = of(folder, head)
        probes = read_probes(directory)
        results, predictions = read_results(directory), read_predictions(directory)
        assert probes.data == {"name": "digits", "split": "test", "images": 60}
        assert probes.index.tolist() == predictions.index.tolist()
        assert probes.yes["clean.accuracy"][0].tolist() == predictions.right.tolist()
        assert probes.values["clean"]["accuracy"] == results["test"]["accuracy"]
        assert probes.values.keys() == {"clean", "shift", "size", "calibration"}
        for name in ("ece", "nll", "brier"):
            assert probes.values["calibration"][name] == pytest.approx(
                results["test"][name], abs=1e-5
            )
        native = probes.values["size"]["0.75"]["native"]["accuracy"]
        assert (native is None) == (head == "fc")
        events = EventAccumulator(str(directory)).Reload()
        (scalar,) = events.Scalars("probe/shift/zero/2/accuracy")
        assert scalar.step == results["steps"]
        assert scalar.value == pytest.approx(probes.values["shift"]["zero"]["2"]["accuracy"])
        assert events.Images("visual/reliability (probe)")
        before[head] = (directory / "probes.json").read_bytes()
    row = next(line.split() for line in out.splitlines() if line.startswith("fc"))
    clean = 100 * read_results(of(folder, "fc"))["test"]["accuracy"]
    assert row[:3] == ["fc", "1", f"{clean:.1f}"]
    assert max(map(len, out.splitlines()[-12:])) <= 80
    assert out.splitlines()[-1] == ("gapfc compare outputs --metric probe.shift.zero.1.drop")
    # Again: nothing to do. A probe more: added to the others.
    code, out, _ = evaluate(folder, "outputs", "--probe", "size")
    assert code == 0
    assert "2 already measured" in out
    assert (of(folder, "fc") / "probes.json").read_bytes() == before["fc"]
    code, out, _ = evaluate(folder, str(of(folder, "fc")), "--probe", "corruption")
    now = json.loads((of(folder, "fc") / "probes.json").read_text())["probe"]
    assert now.pop("corruption").keys() == {"noise", "blur", "contrast", "brightness", "pixelate"}
    assert now == json.loads(before["fc"])["probe"]
    assert "shift.zero.1.accuracy" in read_probes(of(folder, "fc")).yes


@pytest.mark.slow
def test_runs_share_their_images_and_the_order_does_not_matter(folder):
    paths = [of(folder, "gap"), of(folder, "fc")]
    together = evaluate_runs(paths, ["corruption"], Vouched())
    alone = evaluate_runs(paths[::-1][:1], ["corruption"], Vouched(), again=True)
    by_head = {one.run.name("head"): one.probes.values for one in together}
    assert alone[0].probes.values == by_head["fc"]
    assert [one.measured for one in together] == [("corruption",)] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["outputs", "--probe", "shfit"], "no probe 'shfit'; did you mean shift? There are shift,"),
        (["nowhere"], "nowhere is not a directory: give run directories, or folders of them"),
        (["."], None),
        (["outputs", "head=gap"], "head=gap: a run is measured as it was trained; gapfc evaluate"),
        (["outputs", "dataset=digit"], "no such dataset; did you mean digits?"),
        (["outputs", "dataset.image_size=9"], "is of another data set: say which one, dataset="),
        (["trust=true"], "takes run directories, or folders of them"),
        (["outputs", "--data", "nowhere"], "--data nowhere: there is no such folder"),
        (["outputs", "--data", ".", "dataset=digits"], "both say which images"),
    ],
)
def test_what_is_wrong_before_the_first_run(trained, tmp_path, arguments, said):
    if said is None:
        folder, said = tmp_path, "there is no run below ."
    else:
        folder = trained
    code, out, err = evaluate(folder, *arguments)
    assert code == 2
    assert said in err
    assert out == ""
    assert not list(folder.rglob("probes.json"))


def test_a_run_that_cannot_be_measured_is_passed_over(folder):
    """Each for one reason, told in one line; the others are measured."""
    gap = of(folder, "gap")
    names = (
        "weights",
        "data",
        "hostile",
        "unfinished",
        "link",
        "locked",
        "other",
        "changed",
        "damaged",
    )
    copies = {name: gap.with_name(f"{gap.name}-{name}") for name in names}
    for copy in copies.values():
        shutil.copytree(gap, copy)
    (copies["weights"] / "checkpoints" / "best.pt").unlink()
    changed(
        copies["data"],
        lambda c: c["dataset"].update(
            _target_="gapfc.data.sources.folder.folder", train_dir="gone"
        ),
    )
    changed(copies["data"], lambda c: c["dataset"].pop("test_fraction"))
    changed(copies["hostile"], lambda c: c["head"].update(_target_="os.system", command="touch x"))
    (copies["unfinished"] / "results.json").unlink()
    (copies["link"] / "probes.json").symlink_to(folder / "precious")
    (folder / "precious").write_text("mine")
    lock = Lock(copies["locked"] / ".lock")
    changed(copies["other"], lambda c: c["dataset"].update(split_seed=7))  # other images
    saw = dict(np.load(copies["changed"] / "predictions.npz"))
    saw["prediction"] = (saw["prediction"] + (saw["prediction"] == saw["label"])) % 10
    np.savez(copies["changed"] / "predictions.npz", **saw)
    best = copies["damaged"] / "checkpoints" / "best.pt"
    best.write_bytes(best.read_bytes()[:5000])
    try:
        code, out, _ = evaluate(folder, "outputs", "--probe", "size")
    finally:
        lock.release()
    assert code == 1
    said = {
        name: next(line for line in out.splitlines() if f"-{name}: " in line) for name in copies
    }
    assert said["weights"].endswith(
        "it has no checkpoints/best.pt: put its weights back, or train it anew"
    )
    assert "dataset.train_dir=gone: there is no such folder" in said["data"]
    assert "says head._target_=os.system, which is not one of gapfc's classes" in said["hostile"]
    assert (
        "it is not finished (no results.json: still running, or killed). Finish it: gapfc train"
        in said["unfinished"]
    )
    assert "probes.json is a link or a pipe" in said["link"]
    assert "is being written by another process" in said["locked"]
    assert said["other"].endswith("its test images are no longer those that it was tested on")
    assert "are right or wrong otherwise than predictions.npz says" in said["changed"]
    assert "is damaged or not a checkpoint" in said["damaged"]
    assert (folder / "precious").read_text() == "mine"
    assert not (folder / "x").exists()
    assert [d for d in directories(folder) if (d / "probes.npz").exists()] == sorted(
        [of(folder, "fc"), gap]
    )
    assert "2 runs" in out


MINE = """
from gapfc.heads import GAP

class Mine(GAP):
    pass
"""


@pytest.mark.slow
def test_a_head_of_the_users_own(tmp_path):
    (tmp_path / "my_heads.py").write_text(MINE)
    (tmp_path / "conf" / "head").mkdir(parents=True)
    node = "name: mine\n_target_: my_heads.Mine\nhidden: []\ndropout: 0.0\n"
    (tmp_path / "conf" / "head" / "mine.yaml").write_text(node)
    code, _, err = run("train", "--config-dir", "conf", "head=mine", *SMALL, folder=tmp_path)
    assert code == 0, err
    code, out, _ = evaluate(tmp_path, "outputs", "--probe", "size")
    assert code == 1
    assert "head._target_=my_heads.Mine, which is not one of gapfc's classes" in out
    for vouching in (["--config-dir", "conf"], ["trust=true"]):
        code, out, _ = evaluate(tmp_path, "outputs", "--probe", "size", "--again", *vouching)
        assert code == 0, out


def test_more_epochs_do_away_with_what_was_measured(folder):
    directory = of(folder, "gap")
    for name in ("probes.json", "probes.npz", "probes-two.json", "probes-two.npz"):
        (directory / name).write_text("of two epochs")
    code, _, err = run("train", f"resume={directory}", "trainer.epochs=3", folder=folder)
    assert code == 0, err
    assert not list(directory.glob("probes*"))


def pictures_of(folder, classes, side=8):
    random = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.mark.slow
def test_other_images(folder):
    pictures_of(folder / "next.year", ["7", "2", "0"])
    code, out, err = evaluate(folder, "outputs", "--data", "next.year", "--probe", "size")
    assert code == 0, err
    probes = read_probes(of(folder, "gap"), "probes-next_year")
    assert probes.data == {"name": "next_year", "split": "all", "images": 9}
    assert not (of(folder, "gap") / "probes.json").exists()
    assert "In each run directory: probes-next_year.json" in out
    # By hand: labels by name, the normalisation of the training images.
    predictions = by_hand(of(folder, "gap"), folder / "next.year")
    assert probes.yes["clean.accuracy"][0].tolist() == [
        seen == int(name) for name, seen in zip("000222777", predictions, strict=True)
    ]
    code, out, _ = evaluate(
        folder,
        "outputs",
        "dataset=synthetic_shapes",
        "dataset.train_images=60",
        "dataset.test_images=6",
        "--probe",
        "size",
    )
    assert code == 1, out
    assert (
        "synthetic_shapes has circle, square, triangle, cross, ring and 1 more, which the run's "
        "digits has not (0, 1, 2, 3, 4 and 5 more)" in out
    )


def by_hand(directory, pictures):
    import torch

    from gapfc.evaluation.loaded import load
    from gapfc.records.run import read_run

    one = load(read_run(directory), Vouched())
    mean, std = (torch.tensor(v)[:, None, None] for v in (one.dataset.mean, one.dataset.std))
    files = sorted(pictures.glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    batch = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        return one.model(batch).argmax(1).tolist()


def test_missing_images_of_a_class_and_no_images(folder):
    (folder / "empty" / "1").mkdir(parents=True)
    code, _, err = evaluate(folder, "outputs", "--data", "empty")
    assert code == 2
    assert "--data empty: " in err
    assert "1 has no images" in err


def test_a_stop_keeps_what_was_there(folder):
    assert evaluate(folder, str(of(folder, "fc")), "--probe", "size")[0] == 0
    before = {
        name: (of(folder, "fc") / name).read_bytes() for name in ("probes.json", "probes.npz")
    }
    running = start("evaluate", "outputs", "--probe", "shift,corruption", folder=folder)
    pid = f"{running.process.pid}\n"  # of who owns the run
    until(lambda: (of(folder, "fc") / ".lock").read_text() == pid, running)
    running.signal(signal.SIGINT)
    assert running.wait() == 130, running.err
    assert "interrupted by SIGINT: what was measured until now is kept" in running.out
    for name, content in before.items():
        assert (of(folder, "fc") / name).read_bytes() == content
    assert not list(of(folder, "fc").glob(".*.tmp"))
    assert evaluate(folder, "outputs", "--probe", "size")[0] == 0


def test_two_at_once(folder):
    one, other = (start("evaluate", "outputs", "--probe", "shift", folder=folder) for _ in range(2))
    codes = {one.wait(), other.wait()}
    assert codes <= {0, 1}
    assert 0 in codes or "is being written by another process" in one.out + other.out
    code, out, err = evaluate(folder, "outputs", "--probe", "shift")
    assert code == 0, err
    assert "2 runs" in out
    for head in ("gap", "fc"):
        assert read_probes(of(folder, head)).values.keys() == {"clean", "shift"}


@pytest.mark.slow
def test_probes_at_the_end_of_training_and_added_to_what_is_there(tmp_path):
    training = ("train", "-m", "head=gap", "seed=0,1", *SMALL)
    code, _, err = run(*training, "trainer.probes=[size]", folder=tmp_path)
    assert code == 0, err
    first, second = directories(tmp_path)
    for directory in (first, second):
        probes = read_probes(directory)
        assert probes.values.keys() == {"clean", "size"}
        assert probes.values["clean"]["accuracy"] == read_results(directory)["test"]["accuracy"]
        assert probes.index.tolist() == read_predictions(directory).index.tolist()
    before = read_probes(first).values["size"]
    results = (first / "results.json").read_bytes()
    # The same runs, whatever probes are asked for: they are added, and found the second time.
    code, out, err = run(*training, "trainer.probes=[size,calibration]", folder=tmp_path)
    assert code == 0, err
    assert out.count("already there: its probes are added") == 2
    assert directories(tmp_path) == [first, second]
    assert read_probes(first).values.keys() == {"clean", "size", "calibration"}
    assert read_probes(first).values["size"] == before
    assert (first / "results.json").read_bytes() == results
    code, out, _ = run(*training, "trainer.probes=[size,calibration]", folder=tmp_path)
    assert code == 0
    assert out.count("already there: skipped") == 2
    # What `gapfc evaluate` measures is the same.
    (evaluated,) = evaluate_runs([first], ["size", "calibration"], Vouched(), again=True)
    assert evaluated.probes.values["size"] == before
    then = json.loads((first / "probes.json").read_text())["probe"]
    assert evaluated.probes.values == then


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        ("[shfit]", "trainer.probes: there is no probe 'shfit'; did you mean shift?"),
        ("[cam]", "probe cam needs to know where each object is, and dataset=digits does not"),
        ("shift", "trainer.probes takes a list of probes, such as [shift, size]; got shift"),
    ],
)
def test_a_probe_that_cannot_be_is_told_before_training(tmp_path, probes, said):
    code, _, err = run("train", *SMALL, f"trainer.probes={probes}", folder=tmp_path)
    assert code == 2
    assert said in err
    assert not (tmp_path / "outputs").exists()


def test_help_names_every_probe(tmp_path):
    code, out, _ = run("evaluate", "--help", folder=tmp_path)
    assert code == 0
    assert all(f"\n  {name} " in out for name in PROBES)
