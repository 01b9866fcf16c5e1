"""The run directory: its names, its owner, its metrics."""

import json
import os
import re
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapfc.errors import UserError
from gapfc.records.metrics_csv import COLUMNS, append_row, read_rows, write_rows
from gapfc.records.results import build_results, read_results
from gapfc.records.run_directory import RunDirectory, _safe


def create(root, command="train", **changes):
    names = {"dataset": "digits", "backbone": "convnet", "head": "gap"} | changes
    config = {part: {"name": name} for part, name in names.items()}
    return RunDirectory.create(command, {"output_root": root, "seed": 3, **config})


def results(**changes):
    fields = {"status": "completed", "command": "train", "seed": 0, "group": "abc"}
    names = {"dataset": "digits", "backbone": "convnet", "head": "gap"}
    return build_results(**(fields | names | changes))


def run_python(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
    )


def test_the_path_says_what_the_run_is(tmp_path):
    run = create(tmp_path / "out")
    parts = run.path.relative_to(tmp_path / "out").parts
    assert parts[:4] == ("train", "digits", "convnet", "gap")
    assert re.fullmatch(r"\d{8}-\d{6}-s3", parts[4])
    assert run.checkpoints.is_dir()


def test_runs_of_the_same_second_get_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "20261122-041530")
    names = [create(tmp_path).path.name for _ in range(3)]
    assert names == ["20261122-041530-s3", "20261122-041530-s3-2", "20261122-041530-s3-3"]


def test_no_two_share_a_folder(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: create(tmp_path).path, range(24)))
    assert len(set(paths)) == 24


@given(st.text())
def test_a_name_stays_one_component(name):
    safe = _safe(name)
    assert re.fullmatch(r"[A-Za-z0-9_+=][A-Za-z0-9._+=-]*", safe)
    assert safe not in (".", "..")


def test_names_cannot_leave_the_output_root(tmp_path):
    run = create(tmp_path / "out", backbone="../../../etc", dataset="/abs", head="..")
    assert run.path.is_relative_to(tmp_path / "out")
    assert len(run.path.relative_to(tmp_path / "out").parts) == 5


def test_an_unusable_output_root_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output_root"):
        create(tmp_path / "file")


@pytest.mark.skipif(os.name == "nt", reason="needs users of POSIX")
def test_an_output_root_without_permission_is_said(tmp_path, monkeypatch):
    # Root may write anywhere, so it is somebody else for a while, who may not walk to here.
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o555)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        with pytest.raises(UserError, match=r"Permission denied.*output_root"):
            create(".")
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)


def test_the_config_opens_with_what_was_typed(tmp_path):
    run = create(tmp_path)
    run.write_config("gapfc train seed=3", "seed: 3\n")
    assert (run.path / "config.yaml").read_text() == "# gapfc train seed=3\nseed: 3\n"


RESUME = """
    import sys
    from pathlib import Path
    from gapfc.errors import UserError
    from gapfc.records.run_directory import RunDirectory
    try:
        RunDirectory.resume(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(f"refused: {error}")
"""


@pytest.mark.skipif(os.name == "nt", reason="no file locks on Windows")
def test_a_run_has_one_owner_at_a_time(tmp_path):
    run = create(tmp_path)
    run.write_config("gapfc train", "")
    refused = run_python(RESUME, run.path)
    assert refused.stderr.startswith("refused: ")
    assert "another process" in refused.stderr
    run.close()
    assert run_python(RESUME, run.path).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_run_can_be_resumed_while_its_workers_live(tmp_path):
    killed = run_python(
        """
        import os, signal, sys, time
        from gapfc.records.run_directory import RunDirectory
        parts = {part: {"name": "x"} for part in ("dataset", "backbone", "head")}
        run = RunDirectory.create("train", {"output_root": sys.argv[1], "seed": 0, **parts})
        run.write_config("gapfc train", "")
        worker = os.fork()
        if not worker:
            os.close(1), os.close(2)  # the parent of this test waits for them
            time.sleep(30)
            os._exit(0)
        print(run.path, worker, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path,
    )
    path, worker = killed.stdout.split()
    try:
        assert killed.returncode == -9
        RunDirectory.resume(Path(path)).close()
    finally:
        os.kill(int(worker), 9)


def test_metrics_have_one_header_and_survive_a_resume(tmp_path):
    run = create(tmp_path)
    run.write_config("gapfc train", "")
    append_row(run.metrics, {"epoch": 1, "step": 10, "val_accuracy": 0.1 + 0.2, "val_top5": None})
    append_row(run.metrics, {"epoch": 2, "step": 20, "val_loss": float("nan")})
    run.close()
    again = RunDirectory.resume(run.path)
    append_row(again.metrics, {"epoch": 3, "step": 30})
    lines = (run.path / "metrics.csv").read_text().splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert len(lines) == 4
    first, second, third = read_rows(again.metrics)
    assert (first["epoch"], first["step"]) == (1, 10)
    assert first["val_accuracy"] == 0.1 + 0.2  # exactly: a resume compares bits
    assert first["val_top5"] is None
    assert second["val_loss"] != second["val_loss"]
    assert third["step"] == 30


def test_a_row_can_be_read_as_soon_as_it_is_appended(tmp_path):
    program = """
        import os, sys
        from gapfc.records.metrics_csv import append_row
        from gapfc.records.run_directory import RunDirectory
        parts = {part: {"name": "x"} for part in ("dataset", "backbone", "head")}
        run = RunDirectory.create("train", {"output_root": sys.argv[1], "seed": 0, **parts})
        append_row(run.metrics, {"epoch": 1})
        print(run.path, flush=True)
        os.kill(os.getpid(), 9)
    """
    path = run_python(program, tmp_path).stdout.strip()
    assert len(Path(path, "metrics.csv").read_text().splitlines()) == 2


def test_rows_written_anew_are_the_same_bytes(tmp_path):
    run = create(tmp_path)
    rows = [{"epoch": n, "step": 7 * n, "lr": 0.1 / n, "val_top5": None} for n in (1, 2, 3, 4)]
    for row in rows:
        append_row(run.metrics, row)
    before = run.metrics.read_bytes()
    with run.metrics.open("a") as file:
        file.write("5,35,0.0")
    assert len(read_rows(run.metrics)) == 4
    write_rows(run.metrics, rows)
    assert run.metrics.read_bytes() == before
    write_rows(run.metrics, rows[:2])
    assert run.metrics.read_bytes() == b"".join(before.splitlines(True)[:3])
    write_rows(run.metrics, [])
    append_row(run.metrics, rows[0])
    assert run.metrics.read_bytes() == b"".join(before.splitlines(True)[:2])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"epoch,step\n1,2\n\0\0\0\n", "NUL|unequal length"),
        (b"\xff\xfe\x80\n", "invalid start byte"),
        (b"epoch,step\n1," + b"9" * 10**5 + b"\n", "has '9999.* as step, which is not a number"),
        (b"epoch,step\n1," + b"9" * 4000 + b"\n", "has '9999.* as step"),
        (b"epoch,step\n-1,2\n", "has '-1' as epoch"),
        (b"epoch,lr\n1,fast\n", "has 'fast' as lr, which is not a number"),
        (b"epoch\n" + b"x" * 200_000 + b"\n", "field larger than field limit"),
        (b"\n" * (64 * 2**20 + 1), "has more than 64 MiB"),
    ],
)
def test_what_is_no_table_of_numbers_is_a_value_error(content, reason, tmp_path):
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_rows(tmp_path / "metrics.csv")


def test_an_unknown_column_is_refused(tmp_path):
    with pytest.raises(ValueError, match="speed"):
        append_row(create(tmp_path).metrics, {"epoch": 1, "speed": 3.0})


def test_results_are_valid_json_whatever_the_run_found(tmp_path):
    run = create(tmp_path)
    run.write_results(results(status="failed", error="nan", train={"nll": float("nan")}))
    text = (run.path / "results.json").read_text()
    read = json.loads(text, parse_constant=pytest.fail)
    assert read["train"] == {"nll": None}
    assert read_results(run.path) == read


def test_results_that_are_not_schema_1_are_not_written(tmp_path):
    run = create(tmp_path)
    with pytest.raises(ValueError, match="status"):
        run.write_results(results() | {"status": "fine"})
    assert not (run.path / "results.json").exists()


def test_a_resume_replaces_the_results_of_an_interrupted_run(tmp_path):
    run = create(tmp_path)
    run.write_config("gapfc train", "")
    run.write_results(results(status="interrupted"))
    run.close()
    RunDirectory.resume(run.path).write_results(results(status="completed"))
    assert read_results(run.path)["status"] == "completed"


def test_does_not_import_torch():
    program = "import sys, gapfc.records.run_directory; sys.exit('torch' in sys.modules)"
    assert run_python(program).returncode == 0
