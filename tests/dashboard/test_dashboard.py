"""`gapfc dashboard` without a browser: names, links, and the server's own answers."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from serving import dashboard, write_run
from serving import names as expected_names

from gapfc.cli.commands.dashboard import main
from gapfc.dashboard.find import known_run
from gapfc.dashboard.links import Links
from gapfc.dashboard.names import names
from gapfc.errors import UserError
from gapfc.records.run import Run
from gapfc.tensorboard.margins import Margin, write_margins


def run(head="gap", seed=0, overrides=(), command="train"):
    config = {"dataset": {"name": "digits"}, "backbone": {"name": "convnet"}}
    config |= {"head": {"name": head}, "seed": seed}
    return Run(Path("/run"), "unfinished", None, command, tuple(overrides), config=config)


def margin(group, section):
    return Margin(section, group, "accuracy", "mean", [1], [0.5], [0.4], [0.6])


def named(*runs, taken=None):
    paths = [Path(f"/runs/{index:02d}") for index in range(len(runs))]
    return list(names(dict(zip(paths, runs, strict=True)), taken or {}).values())


def linked(folder):
    """Name -> run folder, of everything that TensorBoard would find."""
    return {
        str(path.relative_to(folder)): path.resolve()
        for path in folder.rglob("*")
        if path.is_symlink()
    }


def test_runs_are_called_by_data_set_backbone_head_and_seed():
    assert named(run("gap", 0), run("fc", 3)) == ["digits/convnet/gap s0", "digits/convnet/fc s3"]


def test_other_commands_say_so():
    assert named(run(command="transfer")) == ["transfer/digits/convnet/gap s0"]


def test_equal_runs_are_numbered_by_age():
    assert named(run(), run(), run()) == [
        "digits/convnet/gap s0",
        "digits/convnet/gap s0-2",
        "digits/convnet/gap s0-3",
    ]


def test_runs_of_one_head_are_told_apart_by_what_differs():
    same = ["trainer.epochs=3", "seed=0", "head=gap", "output_root=/x", "trainer.progress=false"]
    assert named(
        run(overrides=[*same, "optimizer.lr=0.1"]),
        run(overrides=[*same, "optimizer.lr=0.01", "+head.hidden=[64]"]),
        run("fc", overrides=[*same, "optimizer.lr=1"]),
    ) == [
        "digits/convnet/gap lr=0.1 s0",
        "digits/convnet/gap lr=0.01 hidden=[64] s0",
        "digits/convnet/fc s0",
    ]


def test_paths_in_overrides_are_no_folders_of_the_name():
    found = named(
        run(overrides=["source=outputs/train/a/20261122-041530-s0"]), run(overrides=["source=b/c"])
    )
    assert found == [
        "digits/convnet/gap source=20261122-041530-s0 s0",
        "digits/convnet/gap source=c s0",
    ]


def test_a_name_once_given_is_kept():
    old, new = Path("/runs/0"), Path("/runs/1")
    taken = names({old: run()}, {})
    runs = {old: run(), new: run(overrides=["optimizer.lr=0.1"])}
    assert names(runs, taken) == {
        old: "digits/convnet/gap s0",
        new: "digits/convnet/gap lr=0.1 s0",
    }


def test_a_run_that_has_not_ended_is_known_by_its_config(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "# gapfc train head=gap 'head.hidden=[8, 8]' seed=2\n"
        "dataset: {name: digits}\nbackbone: {name: convnet}\nhead: {name: gap}\nseed: 2\n"
    )
    run = known_run(tmp_path)
    assert (run.command, run.name("head"), run.seed) == ("train", "gap", 2)
    assert run.overrides == ("head=gap", "head.hidden=[8, 8]", "seed=2")


@pytest.mark.parametrize("text", ["", "{", "[1]", "seed: 1", "# gapfc train 'x\nseed: 1"])
def test_a_config_that_says_nothing_is_no_run(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    assert known_run(tmp_path) is None


def test_links_follow_the_runs(tmp_path):
    root, folder = tmp_path / "outputs", tmp_path / "links"
    folder.mkdir()
    first = write_run(root, "gap", 0)
    write_run(root, ".trash", 0)
    links = Links([root, root / "train"], folder)
    assert links.refresh() == 1
    assert linked(folder) == {"digits/convnet/gap s0": first}
    second = write_run(root, "fc", 0)
    assert links.refresh() == 2
    assert linked(folder) == {"digits/convnet/gap s0": first, "digits/convnet/fc s0": second}
    first.rename(tmp_path / "elsewhere")
    assert links.refresh() == 1
    assert linked(folder) == {"digits/convnet/fc s0": second}


def test_runs_of_claims_are_left_out_where_there_are_others(tmp_path):
    root, folder = tmp_path / "outputs", tmp_path / "links"
    folder.mkdir()
    made = write_run(root / "claims", "gap", 0)
    links = Links([root], folder)
    assert (links.refresh(), links.left_out) == (1, False)
    assert linked(folder) == {"digits/convnet/gap s0": made}
    other = write_run(root, "fc", 0)
    assert (links.refresh(), links.left_out) == (1, True)
    assert linked(folder) == {"digits/convnet/fc s0": other}
    asked = Links([root / "claims"], tmp_path / "asked")
    assert (asked.refresh(), asked.left_out) == (1, False)


def test_margins_and_other_logs_are_shown_and_nothing_is_written_into_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root, folder = tmp_path / "outputs", tmp_path / "links"
    folder.mkdir()
    # Names that could be taken for folders of one another's.
    ran = write_run(root, "gap", 0)
    write_margins([margin("convnet", "mnist")], root / "digits")
    for other in (root / "logs", root / "logs" / "train"):
        other.mkdir()
        (other / "events.out.tfevents.1.host").write_bytes(b"")
    before = sorted(root.rglob("*"))
    links = Links([root], folder)
    assert links.refresh() == 1
    assert links.refresh() == 1
    assert linked(folder) == {
        "digits/convnet/gap s0": ran,
        "all seeds/mnist/convnet": root / "digits" / "margins" / "mnist" / "convnet",
        "other logs/outputs_logs": root / "logs",
        "other logs/outputs_logs_train": root / "logs" / "train",
    }
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is not a directory"),
        (["."], r"no run below \.: gapfc train writes them"),
        ([".", "--port", "70000"], "--port 70000: give a number from 0 to 65535"),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        main(arguments)


def test_a_host_that_is_not_there_is_said(tmp_path):
    write_run(tmp_path, "gap", 0)
    with pytest.raises(UserError, match=r"--host 192\.0\.2\.1"):
        main([str(tmp_path), "--host", "192.0.2.1"])


def test_the_command_line_gives_one_line_and_exit_code_2(gapfc):
    done = gapfc("dashboard", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "gapfc: error: nowhere is not a directory: gapfc dashboard takes directories of runs"
    ]


def test_neither_torch_nor_matplotlib_is_imported():
    code = (
        "import sys, gapfc.cli.commands.dashboard, gapfc.dashboard.links, gapfc.dashboard.server\n"
        "from tensorboard import default, program\n"
        "print({'torch', 'matplotlib', 'hydra'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")


@pytest.mark.slow
def test_it_serves_prints_its_address_and_ends_on_ctrl_c(tmp_path):
    outputs, temporary = tmp_path / "outputs", tmp_path / "tmp"
    temporary.mkdir()
    for head in ("gap", "fc"):
        write_run(outputs, head, 0)
    with socket.socket() as busy:
        busy.bind(("localhost", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        with dashboard(outputs, port=taken, temporary=temporary) as served:
            assert served.lines[0].startswith(f"Port {taken} is in use: taking ")
            assert served.lines[1] == f"TensorBoard over 2 runs of {outputs}: {served.address}\n"
            served.await_runs(expected_names(["gap", "fc"], [0]))
            assert served.get("data/environment")["window_title"] == f"gapfc: {outputs}"
            # Runs come and go while it runs, and so do a sweep's margins.
            fresh = write_run(outputs, "nin", 1)
            write_margins([margin("gap", "digits, convnet")], outputs)
            shown = expected_names(["gap", "fc"], [0]) | {"all seeds/digits, convnet/gap"}
            served.await_runs(shown | expected_names(["nin"], [1]))
            fresh.rename(tmp_path / "taken away")
            served.await_runs(shown)
            assert served.stop() == 0
            assert served.stderr() == ""
    assert not list(temporary.glob("gapfc-dashboard-*"))
    assert json.loads((tmp_path / "taken away" / "results.json").read_text())["head"] == "nin"


def test_a_termination_is_as_clean(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    write_run(tmp_path / "outputs", "gap", 0)
    with dashboard(tmp_path / "outputs", temporary=temporary) as served:
        assert served.stop(signal.SIGTERM) == 143
        assert served.stderr() == ""
    assert not list(temporary.glob("gapfc-dashboard-*"))
