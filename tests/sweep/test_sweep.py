"""Sweeps as a user meets them: counted, picked up again, shared out, stopped."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from processes import start, until
from whole_runs import write_photos

from gapfc.errors import UserError
from gapfc.formatting import duration
from gapfc.records.identity import group_hash
from gapfc.records.results import build_results
from gapfc.records.run import earlier_run
from gapfc.records.run_directory import RunDirectory
from gapfc.sweep.launchers import check_installed
from gapfc.sweep.outcomes import Outcome, key, outcomes_below
from gapfc.sweep.progress import ends, failures, until_end
from gapfc.sweep.share import Share, divide, gpus

TINY = (
    "backbone.widths=[8,8,8,8]",
    "dataset.train_limit=60",
    "dataset.test_limit=20",
    "trainer.epochs=1",
)


def run(*arguments, folder):
    command = start("train", *arguments, folder=folder)
    return command.wait(), command.out, command.err


def results(folder):
    return {path.parent: json.loads(path.read_text()) for path in folder.rglob("results.json")}


@pytest.mark.slow
def test_typed_again_a_sweep_does_only_what_is_left(tmp_path):
    sweep = ("-m", "head=gap,fc", "seed=0,1", "output_root=out", *TINY)
    code, out, _ = run(*sweep, folder=tmp_path)
    assert code == 0
    assert "[run 1 of 4]: head=gap seed=0 · 3 left after it\n" in out
    assert "[run 4 of 4]: head=fc seed=1 · the last · ends about " in out
    assert "\n4 runs in " in out
    assert out.endswith("  differences  gapfc compare out\n  curves       gapfc dashboard out\n")
    assert out.count("  differences  ") == 1  # not behind each run
    before = results(tmp_path)
    assert [r["status"] for r in before.values()] == ["completed"] * 4

    code, out, _ = run(*sweep, folder=tmp_path)
    assert code == 0
    for path in before:
        assert f"already there: skipped  {path.relative_to(tmp_path)}\n" in out
    assert results(tmp_path) == before

    # Another seed is another run, other settings are another group; alone, a run is a new one.
    code, out, _ = run("-m", "head=gap", "seed=1,2", "output_root=out", *TINY, folder=tmp_path)
    assert "1 of 2 runs already exist" in out
    assert len(results(tmp_path)) == 5
    assert run("head=gap", "seed=1", "output_root=out", *TINY, folder=tmp_path)[0] == 0
    assert len(results(tmp_path)) == 6
    code, out, _ = run(
        "-m", "head=gap", "seed=1", "rerun=true", "output_root=out", *TINY, folder=tmp_path
    )
    assert "skipped" not in out
    assert len(results(tmp_path)) == 7
    assert {r["group"] for r in results(tmp_path).values() if r["head"] == "gap"} == {
        next(r["group"] for r in before.values() if r["head"] == "gap")
    }
    # Nothing of Hydra's; the means over seeds, for TensorBoard.
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"train", "margins"}
    assert {path.name for path in (tmp_path / "out").glob("margins/*/*")} == {"gap", "fc"}
    assert "\n  curves       gapfc dashboard out\n" in out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_was_stopped_goes_on_in_the_same_directories(number, tmp_path):
    sweep = ("-m", "head=gap", "seed=0,1", *TINY[:3], "trainer.epochs=30")
    command = start("train", *sweep, folder=tmp_path)
    until(lambda: list(tmp_path.rglob("last.pt")), command)
    command.signal(number)
    assert command.wait() == (-9 if number == signal.SIGKILL else 130)
    if number == signal.SIGINT:
        assert "stopped; 2 of 2 runs are left" in command.err
        assert "To go on" not in command.out + command.err  # one at a time would be another way
    (begun,) = (path.parent for path in tmp_path.rglob("config.yaml"))

    code, out, _ = run(*sweep, folder=tmp_path)
    assert code == 0
    assert "already there, " in out
    assert "resumes   after" in out
    found = results(tmp_path)
    assert len(found) == 2
    assert found[begun]["status"] == "completed"
    assert found[begun]["epochs"] == 30


@pytest.mark.slow
def test_failures_are_listed_with_reasons_and_recorded(tmp_path):
    sweep = ("-m", "head=gap", "dataset.shots=5000,4", "optimizer.lr=0.001,1e30", *TINY)
    code, _, err = run(*sweep, "trainer.batch_size=8", folder=tmp_path)
    assert code == 1
    listed = err[err.index("gapfc: 3 of 4 runs failed:") :]
    assert "\n  2 runs: dataset.shots=5000 is more than" in listed
    assert "\n    dataset.shots=5000 optimizer.lr=0.001  outputs" in listed
    statuses = sorted(r["status"] for r in results(tmp_path).values())
    assert statuses == ["completed", "failed", "failed", "failed"]
    for path, result in results(tmp_path).items():
        if result["status"] == "failed":
            assert result["error"].splitlines()[0] in listed
            assert str(path.relative_to(tmp_path)) in listed


@pytest.mark.slow
def test_a_preset_is_a_sweep_and_the_command_line_replaces_its_values(tmp_path):
    code, out, err = run("sweep=heads", "head=fc,gap", "seed=3", *TINY, folder=tmp_path)
    assert (code, err) == (0, "")
    assert "[run 2 of 2]: head=gap" in out
    assert {r["head"] for r in results(tmp_path).values()} == {"fc", "gap"}
    assert {r["seed"] for r in results(tmp_path).values()} == {3}


RUNS = {"heads": 45, "ladder": 30, "matched": 40, "dropout": 48, "learning_rate": 60}


@pytest.mark.parametrize("name", RUNS)
def test_presets_open_with_their_command_and_compose(name):
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    from gapfc.settings.compose import Composer

    composer = Composer([])
    text = composer.text(f"sweep/{name}")
    assert text.startswith(f"# @package _global_\n# gapfc train sweep={name} ")
    params = OmegaConf.create(text).hydra.sweeper.params
    overrides = OverridesParser.create().parse_overrides([f"{k}={v}" for k, v in params.items()])
    (combinations,) = BasicSweeper.split_arguments(overrides, None)
    assert len(combinations) == RUNS[name]
    assert f"{RUNS[name]} runs" in text
    for combination in combinations[::10]:
        config = composer.compose("train", combination)
        assert f"head={config.head.name}" in combination


LAUNCHERS = {
    "joblib": ("hydra_joblib_launcher", ("hydra.launcher.n_jobs=2",)),
    "submitit_local": ("hydra_submitit_launcher", ()),
    "ray": ("hydra_ray_launcher", ()),
}


def plugin(name):
    try:
        return importlib.util.find_spec(f"hydra_plugins.{name}")
    except ModuleNotFoundError:
        return None


@pytest.mark.slow
def test_workers_read_photos_in_processes_of_joblib(gapfc):
    if plugin("hydra_joblib_launcher") is None:
        pytest.skip("needs hydra-joblib-launcher: pip install 'gapfc[joblib,slurm,ray]'")
    write_photos(gapfc.folder / "photos")
    photos = ("dataset=folder", "dataset.train_dir=photos", "dataset.image_size=32")
    streamed = ("dataset.residency=stream", "dataset.workers=1", "trainer.epochs=1")
    sweep = ("-m", "hydra/launcher=joblib", "head=gap", "seed=0,1", "backbone.widths=[8,8,8,8]")
    done = gapfc("train", *sweep, *photos, *streamed, env={})  # joblib waits for no fork
    assert done.returncode == 0, done.stderr
    assert {r["status"] for r in results(gapfc.folder).values()} == {"completed"}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHERS)
def test_runs_in_parallel(name, gapfc):
    package, options = LAUNCHERS[name]
    if plugin(package) is None:
        pytest.skip(f"needs {package.replace('_', '-')}: pip install 'gapfc[joblib,slurm,ray]'")
    sweep = ("-m", f"hydra/launcher={name}", *options, "head=gap", "dataset.shots=4,5000")
    done = gapfc("train", *sweep, "seed=0,1", *TINY, env={"RAY_DEDUP_LOGS": "0"})
    assert done.returncode == 1, done.stderr
    assert "[4 of 4]" in done.stdout
    assert "Traceback" not in done.stderr
    assert " 1/1 " not in done.stdout  # the terminal is the sweep's
    assert "2 of 4 runs failed:\n  2 runs: dataset.shots=5000 is" in done.stderr
    found = results(gapfc.folder)
    assert sorted(r["status"] for r in found.values()) == 2 * ["completed"] + 2 * ["failed"]
    logs = [(path / "run.log").read_text() for path in found if (path / "run.log").exists()]
    assert all(" 1/1 " in log for log in logs)

    again = gapfc("train", *sweep[:-1], "dataset.shots=4", "seed=0,1", *TINY)
    assert (again.returncode, again.stdout.count("already there: skipped")) == (0, 2)


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_no_run_with_it(tmp_path):
    if plugin("hydra_joblib_launcher") is None:
        pytest.skip("needs hydra-joblib-launcher: pip install 'gapfc[joblib]'")
    sweep = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1,2", *TINY[:3])
    # Not by `start`: its processes wait at their end for joblib's idle ones.
    command = subprocess.Popen(
        [sys.executable, "-m", "gapfc", "train", *sweep, "trainer.epochs=30"], cwd=tmp_path
    )
    until(lambda: list(tmp_path.rglob("last.pt")))
    file = next(tmp_path.rglob("*.begun"))
    os.kill(json.loads(file.read_text())["pid"], signal.SIGKILL)
    assert command.wait(timeout=200) == 0
    found = results(tmp_path)
    assert [(r["status"], r["epochs"]) for r in found.values()] == [("completed", 30)] * 3
    assert sum("resumes" in (path / "run.log").read_text() for path in found) >= 1


def test_a_launcher_that_is_not_installed_is_named():
    with pytest.raises(UserError, match="hydra-nonesuch-launcher is not installed"):
        check_installed("hydra_plugins.hydra_nonesuch_launcher.launcher.Launcher")
    check_installed("hydra._internal.core_plugins.basic_launcher.BasicLauncher")


def test_threads_and_gpus_are_divided():
    assert divide(2, 8, (), {}) == Share(2, 4)
    assert divide(3, 8, (), {}).threads == 2
    assert divide(16, 8, (), {}).threads == 1
    assert divide(2, 8, (), {"OMP_NUM_THREADS": "3"}).threads == 3
    assert divide(4, 8, (), {"OMP_NUM_THREADS": "3"}).threads == 2
    share = divide(4, 16, ("0", "GPU-b"), {})
    assert [share.gpu(slot) for slot in range(4)] == ["0", "GPU-b", "0", "GPU-b"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "2, 5"}) == ("2", "5")
    assert gpus({"CUDA_VISIBLE_DEVICES": ""}) == gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == ()


def test_processes_side_by_side_take_different_gpus(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from gapfc.sweep.share import Share\n"
        "Share(3, 2, ('a', 'b', 'c')).take(Path(sys.argv[1]))\n"
        "print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['OMP_NUM_THREADS'], "
        "'torch' in sys.modules, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    lines = sorted(process.stdout.readline().strip() for process in processes)
    for process in processes:
        process.communicate()
    assert lines == ["a 2 False", "b 2 False", "c 2 False"]


def test_time_to_the_end():
    assert until_end([], 3, 0, 1) is None
    assert until_end([10, 20], waiting=4, running=0, places=1) == 60
    assert until_end([10, 20], waiting=4, running=2, places=2) == 37.5
    assert (duration(45), duration(720), duration(12000)) == ("45 s", "12 min", "3 h 20 min")
    assert ends(None) == ""
    expected = time.strftime("%H:%M", time.localtime(time.time() + 120))
    assert ends(120) == f" · ends about {expected}, in 2 min"


def test_outcomes_are_seen_by_others_and_removed(tmp_path):
    with outcomes_below(tmp_path) as outcomes:
        run = key(["seed=1", "head=gap"])
        assert run == key(["head=gap", "seed=1"]) != key(["head=gap", "seed=2"])
        assert not outcomes.begun()
        outcomes.begin(run)
        assert outcomes.begun()[run].pid == os.getpid()
        outcomes.end(run, Outcome(1, 2.5, "why", "there"))
        assert outcomes.ended() == {run: Outcome(1, 2.5, "why", "there")}
        assert not outcomes.stopping
        outcomes.stop()
        assert outcomes.stopping
    assert not list(tmp_path.iterdir())
    why = Outcome(1, 0, "why\nlong", "/there")
    text = failures({"head=gap": why, "head=fc": Outcome(2, 0, "so"), "head=nin": why}, total=3)
    assert text == (
        "gapfc: 3 of 3 runs failed:\n"
        "  2 runs: why\n    head=gap  /there\n    head=nin  /there\n"
        "  so\n    head=fc"
    )


def config(root, **changes):
    return {
        "seed": 0,
        "output_root": str(root),
        "data_root": "data",
        "resume": None,
        "dataset": {"name": "digits"},
        "backbone": {"name": "convnet"},
        "head": {"name": "gap", "hidden": []},
        "trainer": {"epochs": 3, "progress": "auto"},
    } | changes


def begin(config, status=None):
    import yaml

    directory = RunDirectory.create("train", config)
    directory.write_config("gapfc train", yaml.safe_dump(config))
    if status:
        names = dict.fromkeys(("dataset", "backbone", "head"), "x")
        fields = {"command": "train", "seed": config["seed"], "group": group_hash(config)}
        directory.write_results(build_results(**names, **fields, status=status, error="why"))
    directory.close()
    return directory.path


def test_the_earlier_run_is_found_by_settings_and_seed(tmp_path):
    wanted = config(tmp_path)
    assert earlier_run("train", wanted) is None
    begin(config(tmp_path, seed=1), "completed")
    begin(config(tmp_path, trainer={"epochs": 4, "progress": "auto"}), "completed")
    assert earlier_run("train", wanted) is None
    killed = begin(config(tmp_path, data_root="elsewhere"))
    found = earlier_run("train", wanted)
    assert (found.path.resolve(), found.status, found.config["data_root"]) == (
        killed,
        "unfinished",
        "elsewhere",
    )
    failed = begin(config(tmp_path), "failed")
    assert earlier_run("train", wanted).path.resolve() == failed
    assert earlier_run("train", wanted).reason == "why"
    done = begin(config(tmp_path, trainer={"epochs": 3, "progress": False}), "completed")
    begin(config(tmp_path), "interrupted")
    assert earlier_run("train", wanted).path.resolve() == done
    assert earlier_run("transfer", wanted) is None
