"""Two processes at work on one run, against one: the command as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import start
from whole_runs import write_photos

PLAIN = [
    "backbone.widths=[8,12,16]", "backbone.batch_norm=false", "dataset.image_size=16",
    "dataset.train_limit=400", "dataset.test_limit=200", "trainer.epochs=3",
    "trainer.batch_size=50", "trainer.eval_batch_size=30", "trainer.device=cpu",
    "trainer.precision=fp32", "trainer.progress=false", "optimizer.lr=0.003",
]  # fmt: skip


def carried_out(folder, *settings, command="train", code=0):
    running = start(command, *settings, folder=folder)
    assert running.wait() == code, running.out + running.err
    return running.out + running.err


def only(folder, pattern="results.json"):
    (found,) = folder.rglob(pattern)
    return found


def results(folder):
    return json.loads(only(folder).read_text())


def rows(folder, *names):
    lines = only(folder, "metrics.csv").read_text().splitlines()
    head = lines[0].split(",")
    return [[float(line.split(",")[head.index(name)]) for name in names] for line in lines[1:]]


def predicted(folder):
    return np.load(only(folder, "predictions.npz"))


def still_there(folder, seconds=0):
    """Processes that have `folder` as their own, after so long if any have until then."""
    due = time.monotonic() + seconds
    while (found := _there(folder)) and time.monotonic() < due:
        time.sleep(0.1)
    return found


def _there(folder):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    carried_out(folder, *PLAIN)
    return folder


@pytest.mark.slow
def test_two_do_what_one_does(alone, tmp_path):
    told = carried_out(tmp_path, *PLAIN, "trainer.devices=2")
    assert "shared    2 processes, 25 of each batch's 50 images to one" in told
    assert "batch norm" not in told
    columns = ("train_loss", "val_loss", "gradient_backbone", "drift_head")
    assert np.allclose(rows(tmp_path, *columns), rows(alone, *columns), rtol=2e-4)
    exact = ("step", "train_accuracy", "val_accuracy")
    assert rows(tmp_path, *exact) == rows(alone, *exact)
    ours, theirs = predicted(tmp_path), predicted(alone)
    for name in ("index", "label", "prediction"):
        assert np.array_equal(ours[name], theirs[name]), name
    one, two = results(alone), results(tmp_path)
    assert (one["world_size"], two["world_size"]) == (1, 2)
    assert one["group"] == two["group"]
    assert two["test"]["nll"] == pytest.approx(one["test"]["nll"], rel=1e-4)
    assert two["threads"] == max(1, one["threads"] // 2)
    assert not still_there(tmp_path, 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["backbone.batch_norm=true"],
        ["trainer.ema=0.9", "augment.mixup=0.3"],
        ["dataset.sampler=balanced", "augment.flip=true", "augment.views=2"],
        ["trainer.accumulate=3", "trainer.clip_norm=0.5", "trainer.early_stopping=1"],
        ["trainer.batch_size=27", "head=fc", "head.dropout=0", "trainer.class_weights=balanced"],
        ["dataset.train_sizes=[12,16]", "dataset.eval_sizes=[12]", "head=spp"],
        ["backbone.trainable=none", "augment=none", "trainer.epochs=4"],
        ["trainer.compile=true"],
    ],
    ids=lambda settings: settings[0],
)
def test_options_mean_the_same(tmp_path, settings):
    one, two = tmp_path / "one", tmp_path / "two"
    # Each computes frozen features by itself.
    settings = [*settings, "cache_root=cache"]
    for folder, more in ((one, []), (two, ["trainer.devices=2"])):
        folder.mkdir()
        carried_out(folder, *PLAIN, *settings, *more)
    # Batch norm sees each part by itself.
    tolerance = 0.3 if "backbone.batch_norm=true" in settings else 0.01
    losses = [rows(folder, "step", "train_loss", "val_loss") for folder in (one, two)]
    assert len(losses[0]) == len(losses[1])
    assert np.allclose(*losses, rtol=tolerance)
    assert results(two)["world_size"] == 2


@pytest.mark.slow
def test_a_transfer_and_its_source_are_shared(tmp_path):
    told = carried_out(
        tmp_path, *(word for word in PLAIN if not word.startswith(("backbone", "dataset"))),
        "source.dataset=digits", "source.backbone=convnet", "dataset=digits", "cka_images=20",
        "++source.options.dataset.train_limit=200", "dataset.train_limit=200",
        "protocol=lp_ft", "trainer.devices=2", "++source.options.trainer.epochs=1",
        command="transfer",
    )  # fmt: skip
    found = [json.loads(file.read_text()) for file in tmp_path.rglob("results.json")]
    assert sorted(each["command"] for each in found) == ["train", "transfer"], told
    assert {(each["status"], each["world_size"]) for each in found} == {("completed", 2)}


@pytest.mark.slow
def test_a_sweep_keeps_its_processes(tmp_path):
    told = carried_out(tmp_path, "-m", "seed=0,1", *PLAIN, "trainer.epochs=1", "trainer.devices=2")
    assert "2 runs in" in told
    assert told.count("shared    2 processes") == 2
    found = [json.loads(file.read_text()) for file in tmp_path.rglob("results.json")]
    assert {(each["status"], each["world_size"]) for each in found} == {("completed", 2)}
    assert not still_there(tmp_path, 20)


@pytest.mark.slow
def test_decoded_photos_are_there_once(tmp_path):
    write_photos(tmp_path / "photos")
    options = [
        "dataset=folder", "dataset.train_dir=photos", "dataset.image_size=24", "head=gap",
        "backbone.widths=[4]", "backbone.pool_after=[1]", "trainer.batch_size=4",
        "trainer.epochs=1", "trainer.device=cpu", "trainer.progress=false",
    ]  # fmt: skip
    before = list(Path("/dev/shm").glob("gapfc-*"))
    carried_out(tmp_path, *options, "trainer.devices=2")
    assert results(tmp_path)["world_size"] == 2
    assert list(Path("/dev/shm").glob("gapfc-*")) == before


@pytest.mark.slow
def test_inspect_times_a_step_that_two_share(tmp_path):
    options = [word for word in PLAIN if word.startswith(("backbone", "trainer.device"))]
    told = carried_out(
        tmp_path, "head=gap,fc", *options, "trainer.devices=2", "repeats=2", command="inspect"
    )
    assert "cpu (2 processes)" in told
    assert not still_there(tmp_path, 20)


@pytest.mark.slow
def test_a_sweep_over_numbers_of_processes(tmp_path):
    carried_out(
        tmp_path, "-m", "trainer.devices=2,1", "seed=0,1", *PLAIN, "trainer.epochs=1", "rerun=true"
    )
    found = [json.loads(file.read_text()) for file in tmp_path.rglob("results.json")]
    assert sorted(each["world_size"] for each in found) == [1, 1, 2, 2]
    assert not still_there(tmp_path, 20)


@pytest.mark.slow
def test_a_run_that_diverges_leaves_its_processes_to_the_next(tmp_path):
    told = carried_out(
        tmp_path, "-m", *PLAIN, "optimizer.lr=1e20,0.003", "trainer.epochs=1",
        "trainer.devices=2", "optimizer=sgd", code=1,
    )  # fmt: skip
    found = [json.loads(file.read_text()) for file in tmp_path.rglob("results.json")]
    assert sorted(each["status"] for each in found) == ["completed", "failed"], told
    assert "The loss became" in told


@pytest.mark.slow
def test_a_strangers_module_in_the_working_folder_is_not_imported(tmp_path):
    (tmp_path / "torch.py").write_text("open('imported', 'w')")
    (tmp_path / "omegaconf.py").write_text("open('imported', 'w')")
    carried_out(tmp_path, *PLAIN, "trainer.epochs=1", "trainer.devices=2")
    assert not (tmp_path / "imported").exists()


def begun(folder, *settings, epochs=200):
    """A run of two processes that has saved its first epoch, and the processes' numbers."""
    running = start(
        "train", *PLAIN, f"trainer.epochs={epochs}", "trainer.devices=2", *settings, folder=folder
    )
    due = time.monotonic() + 100
    while not list(folder.rglob("last.pt")):
        assert time.monotonic() < due, running.out + running.err
        time.sleep(0.05)
    others = [number for number in still_there(folder) if number != running.process.pid]
    assert len(others) == 1
    return running, others[0]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["first", "other"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_either_stops_both_after_the_same_step(tmp_path, to, number):
    running, other = begun(tmp_path)
    os.kill(running.process.pid if to == "first" else other, number)
    assert running.wait() == 128 + number
    assert f"interrupted by {number.name} after" in running.out
    assert results(tmp_path)["status"] == "interrupted"
    state = torch.load(only(tmp_path, "last.pt"), weights_only=True)
    assert state["progress"]["step"] == results(tmp_path)["steps"]
    assert not still_there(tmp_path, 20)


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_which_can_be_resumed(tmp_path):
    running, other = begun(tmp_path)
    os.kill(other, signal.SIGKILL)
    begin = time.monotonic()
    assert running.wait() == 1
    assert time.monotonic() - begin < 60
    assert "failed: rank 1 of 2 was killed (SIGKILL; out of memory?)" in running.out
    assert "Traceback" not in running.out + running.err
    assert results(tmp_path)["status"] == "failed"
    assert "rank 1 of 2 was killed" in results(tmp_path)["error"]
    carried_out(tmp_path, f"resume={only(tmp_path).parent}", "trainer.epochs=4")
    found = results(tmp_path)
    assert (found["status"], found["world_size"]) == ("completed", 2)


@pytest.mark.slow
def test_the_others_end_with_the_first(tmp_path):
    running, _ = begun(tmp_path)
    os.kill(running.process.pid, signal.SIGKILL)
    running.wait()
    assert not still_there(tmp_path, 60)


@pytest.mark.slow
def test_a_fault_of_another_rank_is_told_with_its_words(tmp_path):
    """Only the second process meets it: it has `sitecustomize` break its reading of images."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('RANK') == '1':\n"
        "    import gapfc.data.dataset as module\n"
        "    def load(*arguments):\n"
        "        from gapfc.errors import UserError\n"
        "        raise UserError('no such disk on this machine')\n"
        "    module.load = load\n"
    )
    command = [sys.executable, "-m", "gapfc", "train", *PLAIN, "trainer.devices=2"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "broken")}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 1
    assert "failed: rank 1 of 2 failed: no such disk on this machine" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert results(tmp_path)["status"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "inspect"])
def test_a_parameter_that_no_loss_reaches_is_told_once(tmp_path, command):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "from gapfc.heads.gap import GAP\n"
        "class Idle(GAP):\n"
        "    def __init__(self, *arguments, **settings):\n"
        "        super().__init__(*arguments, **settings)\n"
        "        self.idle = nn.Linear(3, 3)\n"
    )
    words = PLAIN if command == "train" else ["trainer.device=cpu", "repeats=2"]
    ended = subprocess.run(
        [
            sys.executable, "-m", "gapfc", command, *words, "head=gap", "head._target_=mine.Idle",
            "trust=true", "trainer.devices=2",
        ],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True,
        text=True, timeout=100,
    )  # fmt: skip
    told = ended.stdout + ended.stderr
    assert ended.returncode in (1, 2), told
    assert told.count("has parameters that no loss reaches") == 1, told
    assert "Traceback" not in told
    if command == "train":
        assert results(tmp_path)["status"] == "failed"


@pytest.mark.slow
def test_resumed_with_as_many_it_is_the_same_to_the_bit_with_others_to_rounding(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder, epochs in ((whole, 3), (parts, 1)):
        folder.mkdir()
        carried_out(
            folder, *PLAIN, "schedule=constant", "trainer.devices=2", f"trainer.epochs={epochs}"
        )
    run = only(parts).parent
    told = carried_out(parts, f"resume={run}", "trainer.epochs=2")
    assert "2 processes" in told
    names = ("train_loss", "val_loss")
    assert rows(parts, *names) == rows(whole, *names)[:2]
    told = carried_out(parts, f"resume={run}", "trainer.epochs=3", "trainer.devices=1")
    assert "processes" not in told
    assert results(parts)["world_size"] == 1
    assert np.allclose(rows(parts, *names), rows(whole, *names), rtol=2e-4)
    carried_out(parts, f"resume={run}", "trainer.epochs=4", "trainer.devices=2")
    assert results(parts)["world_size"] == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["trainer.devices=0"], "trainer.devices"),
        (["trainer.devices=4000"], "each device needs one"),
        pytest.param(
            ["trainer.devices=2", "trainer.batch_size=3"],
            "each needs 2 images of a batch",
            marks=pytest.mark.slow,
        ),
        pytest.param(["trainer.devices=2", "head=unknown"], "unknown", marks=pytest.mark.slow),
        pytest.param(
            [
                "trainer.devices=2",
                "dataset=folder",
                "dataset.image_size=native",
                "dataset.train_dir=photos",
            ],
            "dataset.image_size=native needs trainer.devices=1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_starts(tmp_path, settings, words):
    write_photos(tmp_path / "photos")
    told = carried_out(tmp_path, *PLAIN, *settings, code=2)
    assert " ".join(words.split()) in " ".join(told.split())
    assert "Traceback" not in told
    assert not list(tmp_path.rglob("results.json"))
    assert not still_there(tmp_path, 20)


def torchrun(folder, *arguments):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "-m", "gapfc", *arguments,
    ]  # fmt: skip
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def until_saved(running, folder):
    """Until a run has its first checkpoint."""
    while not list(folder.rglob("last.pt")):
        assert running.poll() is None
        time.sleep(0.1)


@pytest.mark.slow
def test_under_torchrun(alone, tmp_path):
    running = torchrun(tmp_path, "train", *PLAIN)
    told, _ = running.communicate(timeout=100)
    assert running.returncode == 0, told
    assert told.count("shared    2 processes") == 1
    assert results(tmp_path)["world_size"] == 2
    assert np.array_equal(predicted(tmp_path)["prediction"], predicted(alone)["prediction"])


@pytest.mark.slow
def test_torchrun_is_stopped_and_its_run_resumed(tmp_path):
    running = torchrun(tmp_path, "train", *PLAIN, "trainer.epochs=200")
    until_saved(running, tmp_path)
    running.send_signal(signal.SIGINT)
    told, _ = running.communicate(timeout=60)
    assert results(tmp_path)["status"] == "interrupted", told
    run = only(tmp_path).parent
    again = torchrun(tmp_path, "train", f"resume={run}", "trainer.epochs=5")
    told, _ = again.communicate(timeout=100)
    assert again.returncode == 0, told
    assert results(tmp_path)["status"] == "completed"


@pytest.mark.slow
def test_a_rank_of_torchrun_that_is_killed_has_failed(tmp_path):
    """torchrun tells the others to stop, which is no interruption by the user."""
    running = torchrun(tmp_path, "train", *PLAIN, "trainer.epochs=3000")
    until_saved(running, tmp_path)
    (second,) = (
        pid
        for pid in still_there(tmp_path)
        if b"RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    )
    os.kill(second, signal.SIGKILL)
    told, _ = running.communicate(timeout=60)
    found = results(tmp_path)
    assert found["status"] == "failed", told
    assert "another rank was ended from outside" in found["error"]


@pytest.mark.slow
def test_ranks_whose_torchrun_was_killed_stop_and_save(tmp_path):
    running = torchrun(tmp_path, "train", *PLAIN, "trainer.epochs=3000")
    until_saved(running, tmp_path)
    running.kill()
    told, _ = running.communicate(timeout=60)
    assert not still_there(tmp_path, 20)
    found = results(tmp_path)
    assert (found["status"], found["error"]) == ("interrupted", "interrupted by SIGTERM"), told


@pytest.mark.slow
def test_workers_that_read_for_ranks_of_torchrun_outlive_its_signal(tmp_path):
    """It sends it to all that a rank has started, too."""
    write_photos(tmp_path / "photos")
    running = torchrun(
        tmp_path, "train", "dataset=folder", "dataset.train_dir=photos", "dataset.image_size=24",
        "dataset.residency=stream", "dataset.workers=1", "trainer.batch_size=4", "head=gap",
        "backbone.widths=[4]", "backbone.pool_after=[1]", "trainer.epochs=3000",
        "trainer.device=cpu",
    )  # fmt: skip
    until_saved(running, tmp_path)
    running.send_signal(signal.SIGTERM)
    told, _ = running.communicate(timeout=60)
    assert results(tmp_path)["status"] == "interrupted", told
    assert not still_there(tmp_path, 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["compare", "--help"], 0),
        (["train", *PLAIN, "trainer.devices=3"], 1),
        (["train", *PLAIN, "head=unknown"], 1),
    ],
)
def test_torchrun_ends_with_what_needs_no_other_process(tmp_path, arguments, code):
    running = torchrun(tmp_path, *arguments)
    told, _ = running.communicate(timeout=60)
    assert running.returncode == code, told


@pytest.mark.slow
def test_tasks_of_submitit_share_a_run(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs gapfc[slurm]")
    told = carried_out(
        tmp_path, "-m", "seed=0,1", *PLAIN, "hydra/launcher=submitit_local",
        "++hydra.launcher.tasks_per_node=2",
    )  # fmt: skip
    found = [json.loads(file.read_text()) for file in tmp_path.rglob("results.json")]
    assert [(each["status"], each["world_size"]) for each in found] == [("completed", 2)] * 2, told
