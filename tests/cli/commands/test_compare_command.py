"""`gapfc compare` as it is typed: what it prints, writes and refuses."""

import csv
import json
import subprocess
import sys

import pytest
from asked import answer, row
from processes import children_seconds
from synthetic import HEADS, write_run

from gapfc.cli.commands.compare import main
from gapfc.errors import UserError


def test_failed_broken_unfinished_runs_are_counted_and_named(sweep, capsys, tmp_path):
    failed = write_run(sweep, "gap", 8, status="failed", error="Traceback\nRuntimeError: out of it")
    killed = write_run(sweep, "gap", 9)
    (killed / "results.json").unlink()
    broken = write_run(sweep, "gap", 10)
    (broken / "results.json").write_text('{"schema": 1, "stat')
    future = write_run(sweep, "gap", 11, results={"schema": 9})
    blind = write_run(sweep, "gem", 12)
    (blind / "config.yaml").write_text("a: [")
    stopped = write_run(sweep, "gap", 13, status="interrupted")
    found = answer(sweep, tmp=tmp_path)
    out = capsys.readouterr().out
    kinds = {run["path"]: run["kind"] for run in found["not_compared"]}
    assert kinds == {
        str(failed): "failed", str(killed): "unfinished", str(broken): "broken",
        str(future): "broken", str(blind): "broken", str(stopped): "interrupted",
    }  # fmt: skip
    assert "RuntimeError: out of it" in out
    assert "12 of 18 runs found" in out
    for path in kinds:
        assert path in out
    assert row(found, "gap")["n"] == 3


def test_every_found_run_is_compared_named_or_filtered(sweep, tmp_path):
    write_run(sweep, "gap", 1, when="20260101-000000")  # an older run of a seed
    write_run(sweep, "fc", 5, status="failed", error="x")
    found = answer(sweep, tmp=tmp_path)
    rerun = [note for note in found["notes"] if "does not" in note or "do not count" in note]
    assert len(rerun) == 1
    assert "20260101-000000-s1" in rerun[0]
    assert found["runs_found"] == found["runs_compared"] + len(found["not_compared"]) + 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "test.acuracy"], "near it: test.accuracy"),
        (["--metric", "accuracy"], "test.accuracy"),
        (["--metric", "head"], "no run has this number"),
        (["--baseline", "cf"], "the groups have fc, gap, nin, spp"),
        (["--baseline", "dataset=digits"], "dataset is not among --by head"),
        (["--by", "haed"], "near it: head"),
        (["--by", "seed"], "paired by seed"),
        (["--by", ","], "at least one key"),
        (["--where", "optimizr.lr=1"], "near it: optimizer.lr"),
        (["--where", "optimizer.lr=1"], "optimizer.lr is never 1; it takes 0.05"),
        (["--where", "dataset"], "give key=value"),
        (["--where", "head=fc", "--where", "seed!=0,1,2"], "none of 12 runs is left"),
        (["--confidence", "95"], "a share in"),
        (["--target", "90"], "an accuracy in"),
        (["--choose", "head"], "already in --by"),
    ],
)
def test_what_is_wrong_is_said(sweep, options, words):
    with pytest.raises(UserError) as error:
        main([str(sweep), *options])
    assert words in str(error.value)


def test_no_runs(tmp_path):
    with pytest.raises(UserError, match="no run below"):
        main([str(tmp_path)])
    with pytest.raises(UserError, match="is not a directory"):
        main([str(tmp_path / "nowhere")])
    path = write_run(tmp_path, "gap", 0, status="failed", error="boom")
    with pytest.raises(UserError, match=r"no completed run among 1 found.*failed, boom"):
        main([str(tmp_path)])
    assert path.exists()


def test_an_unwritable_file_is_an_error_for_people(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        main([str(sweep), "--csv", str(tmp_path / "file" / "t.csv")])
    with pytest.raises(UserError, match="cannot be written"):
        main([str(sweep), "--out", str(tmp_path / "file")])


def test_csv_holds_the_numbers_in_full(sweep, tmp_path):
    file = tmp_path / "t.csv"
    found = answer(sweep, "--csv", str(file), tmp=tmp_path)
    rows = list(csv.DictReader(file.open()))
    assert [r["head"] for r in rows] == [r["label"] for r in found["rows"]]
    assert [float(r["test.accuracy"]) for r in rows] == [r["mean"] for r in found["rows"]]
    gap = next(r for r in rows if r["head"] == "gap")
    assert float(gap["difference_low"]) == row(found, "gap")["paired"]["interval"]["low"]


def test_standard_output_holds_only_the_file_asked_for(sweep, capsys):
    main([str(sweep), "--json", "-"])
    streams = capsys.readouterr()
    assert json.loads(streams.out)["schema"] == 1
    assert "Baseline: head=fc" in streams.err


def test_in_a_pipe_the_table_fits_120_columns_and_sentences_are_lines(sweep, capsys):
    main([str(sweep)])
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("──"))
    assert all(len(line) <= 120 for line in lines[start - 3 : start + 4])
    assert any("Left out to fit 120 columns: " in line for line in lines)
    assert any(line.startswith("Bear in mind: heads differ in hidden") and line.endswith("them")
               for line in lines)  # fmt: skip
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("width", [80, 140])
def test_in_a_terminal_lines_are_broken_at_words(sweep, capsys, monkeypatch, width):
    main([str(sweep)])
    whole = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main([str(sweep)])
    out = capsys.readouterr().out
    assert all(len(line) <= width or str(sweep) in line for line in out.splitlines())
    sentences = [line for line in whole.splitlines() if line.startswith(("Bear in", "gap "))]
    assert len(sentences) > 3
    for sentence in (line for line in sentences if " ± " not in line):
        assert sentence in " ".join(out.split())  # only spaces were broken


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--baselin", "fc"], "no option --baselin; did you mean --baseline?"),
        (["--tidi=x"], "no option --tidi; did you mean --tidy?"),
        (["--margin", "much"], "argument --margin: invalid float value: 'much'"),
    ],
)
def test_a_wrong_option_is_said_in_a_line_and_where_to_look(sweep, options, words):
    with pytest.raises(UserError) as error:
        main([str(sweep), *options])
    assert str(error.value) == f"{words}\ngapfc compare --help lists the options"
    with pytest.raises(UserError, match="DIR is missing"):
        main([])


@pytest.mark.slow
def test_in_a_fresh_folder_without_torch(sweep, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from gapfc.cli.commands.compare import main\n"
        "code = main(sys.argv[1:])\n"
        "assert not any(n.startswith(('torchvision', 'hydra')) for n in sys.modules)\n"
        "sys.exit(code)"
    )
    folder = tmp_path / "fresh"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(sweep), "--html", "r.html", "--out", "pictures"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "r.html").exists()
    assert (folder / "pictures" / "differences.png").exists()


def test_table_alone_needs_neither_matplotlib_nor_jinja2_nor_torch(sweep):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('matplotlib', 'jinja2', 'torch')))\n"
        "from gapfc.cli.commands.compare import main\nsys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(sweep)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "gap" in done.stdout


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    for wanted in ("gapfc compare outputs --html report.html", "--choose KEYS", "--tidy FILE"):
        assert wanted in out


@pytest.mark.slow
@pytest.mark.parametrize(("heads", "rates", "limit"), [(8, 5, 5.0), (8, 50, 30.0)])
def test_hundreds_of_runs_take_seconds(tmp_path, heads, rates, limit):
    """200 runs in under 5 s and 2,000 in under 30 s, with the start of Python."""
    for head in list(HEADS)[:heads]:
        for rate in range(rates):
            for seed in range(5):
                write_run(tmp_path, head, seed, config={"optimizer.lr": (rate + 1) / 100})
    code = "import sys; from gapfc.cli.commands.compare import main; sys.exit(main(sys.argv[1:]))"
    start = children_seconds()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "--by", "head,optimizer.lr"],
        capture_output=True, text=True,
    )  # fmt: skip
    took = children_seconds() - start
    assert done.returncode == 0, done.stderr
    assert f"{heads * rates * 5} of {heads * rates * 5} runs found" in done.stdout
    assert took < limit


@pytest.mark.slow
def test_nothing_is_written_over_a_run_s_own_files(gapfc, tmp_path):
    runs = [write_run(tmp_path, head) for head in ("fc", "gap")]
    before = (runs[0] / "results.json").read_bytes()
    for option in ("--json", "--tidy", "--html"):
        done = gapfc("compare", str(tmp_path), option, str(runs[0] / "results.json"))
        assert done.returncode == 2
        assert "results.json belongs to the run in that folder: give another name" in done.stderr
    assert (runs[0] / "results.json").read_bytes() == before
