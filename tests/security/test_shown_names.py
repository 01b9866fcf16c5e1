"""What strangers' runs are called is shown as words: it controls nothing where it is shown."""

import csv
import io
import json
import logging
import re
from html.parser import HTMLParser
from itertools import groupby
from xml.etree import ElementTree

import pytest
from synthetic import change, write_run
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from gapfc.cli.commands.compare import main, summary
from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.fields import value_of
from gapfc.compare.output.page import html_text
from gapfc.compare.output.plots import PICTURES, draw
from gapfc.compare.output.reproduce import commands
from gapfc.compare.question import Question
from gapfc.compare.where import normalise
from gapfc.dashboard.names import names
from gapfc.records.run import Run
from gapfc.records.run_directory import parent_folder
from gapfc.system.terminal import LineFormatter, print_error
from gapfc.tensorboard.hparams import start_summary
from gapfc.tensorboard.margins import Margin, write_margins

NAMES = (
    "\x1b]0;title\x07\x1b[31mred",
    "a\nNote: all is well",
    "a\r\x85\u2028\x0bb",
    "\u202egap\u2066\u200b\u061c",
    "long" * 100_000,
    "=HYPERLINK(A1)",
    "\t@SUM(A1)",
    "-2+3|cmd",
    "-1.5",
    "a|b`c`*d*_e_",
    "[x](javascript:alert(1))",
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "</svg><img src=x onerror=alert(1)>--!><b>",
    "$\\frac{1}{0}$",
    "https://evil.example www.evil.example",
    "../../.ssh/x",
    "{{7*7}}{% raw %}",
    "%s%n{0}",
)


def hostile(folder, names=NAMES, **results):
    """A completed run of fc on two seeds, and one under every name."""
    for seed in (0, 1):
        write_run(folder, "fc", seed)
    for name in names:
        run = write_run(folder, "gap", accuracy=0.5 if name == "-1.5" else None)
        change(run, {"head.name": name}, {"head": name, **results})
    return folder


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    root = hostile(tmp_path_factory.mktemp("strangers") / "runs", device="\x1b[2Jcpu$\\frac$")
    write_run(root, "spp", status="failed", error="\x1b[2J\u202ewhy\nNote: all is well")
    return compare(collect([root]), Question())


def harmless(text, longest=2000):
    lines = text.split("\n")
    assert [c for line in lines for c in line if not c.isprintable()] == []
    assert max(map(len, lines)) <= longest
    text.encode()
    return lines


def test_the_terminal_gets_no_control_character_and_no_forged_line(comparison):
    lines = harmless(summary(comparison))
    assert not any(line.startswith("Note: all is well") for line in lines)
    assert any("\\x1b]0;title\\x07\\x1b[31mred" in line for line in lines)
    assert any("\\u202egap\\u2066\\u200b\\u061c" in line for line in lines)
    assert len(comparison.rows) == 1 + len(NAMES)  # none is taken for another


def test_what_is_shown_can_be_typed(comparison):
    (run,) = comparison.row("\\u202egap\\u2066\\u200b\\u061c").runs.values()
    assert normalise("\u202egap\u2066\u200b\u061c") == normalise(value_of(run, "head"))


def test_two_long_names_stay_two():
    runs = [Run("x", "completed", results={"head": "a" * 10**6 + end}) for end in "bc"]
    first, second = (value_of(run, "head") for run in runs)
    assert first != second
    assert len(first) == len(second) == 200


def test_an_error_and_a_log_line_are_words(capsys):
    print_error("no head \x1b[31m\u202e\ud800\nTry gap")
    assert capsys.readouterr().err == ("gapfc: error: no head \\x1b[31m\\u202e\\ud800\nTry gap\n")
    record = logging.makeLogRecord({"msg": "head %s", "args": ("\x1b[31m\r",)})
    assert LineFormatter("%(message)s").format(record) == "head \\x1b[31m\\r"


def test_a_terminal_without_the_characters_is_no_error(gapfc, tmp_path):
    for head in ("fc", "gap"):
        write_run(tmp_path / "runs", head)
    change(write_run(tmp_path / "runs", "nin"), {}, {"head": "голова"})
    done = gapfc("compare", str(tmp_path / "runs"), env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u0433\\u043e\\u043b" in done.stdout


def test_markdown_has_no_link_tag_formula_or_further_cell(comparison, tmp_path):
    path = tmp_path / "table.md"
    main([*comparison.directories, "--markdown", str(path)])
    told = harmless(path.read_text().removesuffix("\n"))
    parts = [list(part) for blank, part in groupby(told, lambda line: line == "") if not blank]
    above, lines, below = parts
    assert len(below) == 1
    assert all(line.startswith("- Bear in mind: ") for line in above)
    assert len(lines) == 3 + len(NAMES)
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert {len(row) for row in cells} == {len(cells[0])}
    # As CommonMark reads it: an escaped character is only itself.
    words = [
        re.sub(r"\\[!-/:-@\[-`{-~]", "", text)
        for text in (*above, *below, *(r[0] for r in cells[2:]))
    ]
    assert not any(re.search(r"[\[\]<>`*$~]|://|www\.|\b_|_\b", word) for word in words)
    assert any("a\\|b\\`c\\`\\*d\\*\\_e\\_" in row[0] for row in cells)


def test_a_spreadsheet_sees_no_formula_and_still_sees_numbers(comparison, tmp_path):
    path = tmp_path / "table.csv"
    main([*comparison.directories, "--csv", str(path)])
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    heads = [row["head"] for row in rows]
    assert len(rows) == 1 + len(NAMES)
    assert {"'=HYPERLINK(A1)", "\\t@SUM(A1)", "'-2+3|cmd", "-1.5"} <= set(heads)
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "@", "\t", "\r")) or float(cell)
            assert not cell.startswith("-") or float(cell)
    assert any(float(row["difference"] or 0) < 0 for row in rows)


def test_json_holds_only_ascii(comparison, tmp_path):
    path = tmp_path / "found.json"
    main([*comparison.directories, "--json", str(path)])
    text = path.read_text()
    assert text.isascii()
    assert "\x1b" not in text
    assert len(json.loads(text)["rows"]) == 1 + len(NAMES)


class Tags(HTMLParser):
    """What a browser would make of a page: tags, attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def test_pictures_hold_words_only(tmp_path, monkeypatch):
    drawn = {name: PICTURES[name] for name in ("differences", "learning_curves")}
    monkeypatch.setattr("gapfc.compare.output.plots.PICTURES", drawn)
    awkward = ("$\\frac{1}{0}$", "</svg><img src=x onerror=alert(1)>--!><b>", "_hidden")
    root = hostile(tmp_path, awkward, device="\x1b$\\frac$")
    comparison = compare(collect([root]), Question())
    pictures = draw(comparison)
    assert [picture.name for picture in pictures] == list(drawn)
    for picture in pictures:
        for drawing in (picture.svg, picture.wide, picture.narrow):
            ElementTree.fromstring(drawing)
        assert all(name.replace("<", "&lt;").replace(">", "&gt;").replace("--", "- -")
                   in picture.svg for name in awkward)  # fmt: skip
    tags = Tags(html_text(comparison, pictures)).tags
    assert tags.count("script") == 1
    assert tags.count("svg") == 4
    assert "img" not in tags


def test_a_page_holds_words_only(comparison):
    text = html_text(comparison, [])
    page = Tags(text)
    harmless(re.sub(r"(?s)<svg.*?</svg>|<script>.*?</script>|<style>.*?</style>", "", text), 5000)
    assert page.tags.count("script") == 1
    assert not {"img", "iframe", "a", "form", "base", "object"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert not any("javascript:" in (v or "") for n, v in page.attributes if n != "data-v")
    assert "{{7*7}}{% raw %}" in text


def test_folders_of_groups_are_folders_below_and_none_is_shared(tmp_path):
    # Each file holds all names, and its checksums are computed in Python: a few hundred letters.
    short = [name[:500] for name in NAMES]
    groups = [*short, "a/b", "a:b", "A:B", ".", "..", "", "-rf", "ö" * 300]
    margins = [Margin(g, g, "accuracy", "mean", [1], [0.5], [0.5], [0.5]) for g in groups]
    folders = write_margins(margins, tmp_path)
    assert len({str(folder).casefold() for folder in folders}) == len(groups)
    for folder in folders:
        assert folder.parent.parent == tmp_path / "margins"
        assert folder.name.isprintable()
        assert not folder.name.startswith((".", "-"))
        assert len(folder.name.encode()) <= 255
        assert len(list(folder.iterdir())) == 1
    assert len(write_margins(margins, tmp_path)) == len(groups)


def test_a_link_of_the_dashboard_is_never_inside_another_run():
    def run(command, *parts):
        results = dict(zip(("dataset", "backbone", "head"), parts, strict=True), seed=0)
        return Run("/r", "completed", None, command, results=results)

    runs = [
        run("train", "transfer", "d", "b"),
        run("transfer", "d", "b s0", "h"),  # below the one above, if named naively
        run("digits\x1b", "..", "/etc", "."),
        *(run("train", name, name, name) for name in NAMES),
    ]
    found = list(names({f"/runs/{i:02}": r for i, r in enumerate(runs)}, {}).values())
    assert len(set(found)) == len(runs)
    assert found[:2] == ["transfer/d/b s0", "transfer_d_b s0_h s0"]
    assert not any(b.startswith(f"{a}/") for a in found for b in found)
    for part in (part for name in found for part in name.split("/")):
        assert part.isprintable()
        assert part not in ("", ".", "..")
        assert len(part.encode()) <= 255


@pytest.mark.parametrize("name", [*NAMES, "..", ""])
def test_a_run_directory_is_made_where_its_root_says(name):
    config = {part: {"name": name} for part in ("dataset", "backbone", "head")}
    path = parent_folder("/out", "train", config)
    assert re.fullmatch(r"/out/train(/[A-Za-z0-9_+=][A-Za-z0-9._+=-]{0,119}){3}", str(path))


@pytest.mark.parametrize(
    "word",
    [
        "head._target_=os.system",
        "+x={_target_: os.system, command: id}",
        "head.a=${oc.env:SECRET}",
        r"head.a=$\{oc.env:SECRET\}",  # which Hydra reads the same
        "head.a=${seed.x}",
        "--config-dir=/tmp/evil",
        "-cd",
        "hydra.searchpath=[file:///tmp]",
        "+hydra.callbacks.x=1",
        "head=../../runs/config",
        "head.a=1\nrm -rf ~",
        "head.a=\x1b[201~",
        "head.a=\u202e1",
        "head.a=" + "x" * 10_000,
        "; rm -rf ~",
        "$(id)",
        "",
    ],
)
def test_no_command_is_told_that_would_run_what_a_stranger_says(tmp_path, word):
    write_run(tmp_path, "fc", results={"overrides": ["head=fc"]})
    write_run(tmp_path, "gap", results={"overrides": ["head=gap", word]})
    made = commands(compare(collect([tmp_path]), Question()))
    assert made[:2] == [
        "gapfc train head=fc seed=0",
        "# Not told: 1 run with settings that are not plain values",
    ]
    assert len(made) == 3


def test_a_command_is_one_of_ours_and_its_values_are_quoted(tmp_path):
    write_run(tmp_path, "fc", results={"overrides": ["head=fc", "+head.a=$(id)`id`;'x"]})
    write_run(tmp_path, "nin", results={"overrides": ["head=nin", "++trust=true", "resume=x"]})
    write_run(tmp_path, "gap", results={"overrides": ["x=1"] * 100_000})
    made = commands(compare(collect([tmp_path]), Question()))
    assert made[0] == "gapfc train head=fc '+head.a=$(id)`id`;'\"'\"'x' seed=0"
    assert made[1] == "gapfc train head=nin seed=0"  # trusting is up to the reader
    assert made[2].startswith("# Not told: 1 run ")
    for name in ("fc", "gap", "nin"):
        change(next(tmp_path.glob(f"*/*/*/{name}/*")), {}, {"command": "train; rm -rf ~"})
    made = commands(compare(collect([tmp_path]), Question()))
    assert [line.partition(":")[0] for line in made[:-1]] == ["# Not told"]


def test_hparams_are_words():
    config = {"head": {"name": "\x1b\ud800", "hidden": "\u202e" * 10**5}}
    (value,) = start_summary(config, "0" * 12, 0.0, {}).value
    content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
    start = content.session_start_info
    assert start.group_name == "none \\x1b\\ud800 00000000"
    assert start.hparams["head"].string_value == "\\x1b\\ud800"
    assert len(start.hparams["head options"].string_value) == 1000
