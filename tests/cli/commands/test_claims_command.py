"""`gapfc claims`, as it is typed."""

import json
import os
import re
import signal

import pytest
from processes import start, until

TINY = ("backbone.widths=[8,8,8,8]", "trainer.epochs=1", "output_root=out")
MINE = """
number: 42
sentence: "<b>Mine</b> has fewer parameters."
source: me
margin: 2
unit: factor
reason: I say so.
limits: All of it.
settings: {dataset.train_limit: 60, dataset.test_limit: 20}
arms:
  gap: {head: gap, rate: default, seeds: 1}
  fc: {head: fc, rate: default, seeds: 3}
primary: {metric: parameters.head, of: gap, against: fc, says: lower}
"""


@pytest.fixture
def mine(gapfc):
    """Writes DIR/claim/mine.yaml, with lines changed; gives what to type."""

    def write(*changes):
        text = MINE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        folder = gapfc.folder / "own" / "claim"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mine.yaml").write_text(text)
        return ("claims", "--config-dir", "own", "only=mine", *TINY)

    return write


def runs(folder):
    return sorted(path.parent for path in (folder / "out").rglob("results.json"))


@pytest.mark.slow
def test_a_claim_of_ones_own_and_again(gapfc, mine):
    typed = mine(("seeds: 3", "seeds: 1"))
    done = gapfc(*typed)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.split("\n")
    assert lines[0] == "about 2 runs, fewer where some are there already"
    arm = "[1 of 1] claim 42 on digits: gap, arm 1 of 2 (the usual rate, 0.001)"
    assert re.fullmatch(re.escape(arm) + r" · ends about \d\d:\d\d, in \d+ s", lines[1])
    assert lines[3].startswith("[1 of 1] claim 42 on digits: supported  (2 runs made, ")
    assert lines[5] == "42  SUPPORTED: <b>Mine</b> has fewer parameters."
    assert lines[-2] == "Wrote claims.json, claims.md, claims.html to out"
    before = runs(gapfc.folder)
    assert len(before) == 2

    found = json.loads((gapfc.folder / "out" / "claims.json").read_text())
    (claim,) = found["claims"]
    assert (claim["number"], claim["name"], claim["verdict"]) == (42, "mine", "supported")
    assert "<b>Mine" not in (gapfc.folder / "out" / "claims.html").read_text()
    assert claim["command"] == (
        f"gapfc claims only=42 --config-dir {gapfc.folder}/own '{TINY[0]}' {TINY[1]} {TINY[2]}"
    )
    measured = claim["primary"][0]
    results = json.loads((before[-1] / "results.json").read_text())
    key = "value_of" if results["head"] == "gap" else "value_against"
    assert measured[key] == results["parameters"]["head"]

    times = {run: os.stat(run / "results.json").st_mtime_ns for run in before}
    again = gapfc(*typed)
    assert again.returncode == 0
    assert "supported  (0 runs made, " in again.stdout
    assert {run: os.stat(run / "results.json").st_mtime_ns for run in runs(gapfc.folder)} == times


@pytest.mark.slow
def test_stopped_it_goes_on(gapfc, mine):
    typed = mine()
    command = start(*typed, folder=gapfc.folder)
    until(lambda: runs(gapfc.folder), command)
    command.signal(signal.SIGINT)
    assert command.wait() == 130
    assert "The same command goes on where it was stopped.\n" in command.err
    assert "Traceback" not in command.err
    first = len(runs(gapfc.folder))
    done = gapfc(*typed)
    assert done.returncode == 0
    assert "supported" in done.stdout
    found = [json.loads((run / "results.json").read_text()) for run in runs(gapfc.folder)]
    assert len(found) == 4
    assert first <= 4
    assert {each["status"] for each in found} == {"completed"}


@pytest.mark.slow
def test_two_at_once_share_the_runs(gapfc, mine):
    typed = mine()
    both = [start(*typed, folder=gapfc.folder) for _ in range(2)]
    assert [command.wait() for command in both] == [0, 0]
    assert len(runs(gapfc.folder)) == 4
    made = [int(command.out.split("supported  (")[1].split()[0]) for command in both]
    assert sum(made) == 4


TYPED = [
    (["only=12"], "only=12: no such claim. There are 1 (parameters), 2 (overfitting), 3 ("),
    (["-m", "only=1"], "gapfc claims makes its own sweeps: leave out -m"),
    (["preset=quik"], "preset=quik: no such preset; did you mean quick?"),
    (["seed=3"], "seed=3: claims settle that for each run; type preset.seeds=[0,1,2]"),
]
MORE_TYPED = [
    (
        ["only=[1,translatoin]"],
        "only=translatoin: no such claim; did you mean translation?",
    ),
    (["only=1.5"], "such as [3, 8], or one number, or one name, or null; got 1.5"),
    (["preset.seeds=[]"], "preset.seeds takes a list of seeds, such as [0, 1, 2]"),
    (["preset.rates=[0]"], "preset.rates takes a list of learning rates"),
    (["preset.rate_seeds=[7]"], "preset.rate_seeds takes some of preset.seeds; got [7]"),
    (["preset.beyond=1"], "preset.beyond takes a number above 1; got 1"),
    (["dataset=nonesuch"], "dataset=nonesuch: no such dataset"),
    (["optimizer.lr=1"], "optimizer.lr=1: claims settle that for each run; type preset.rates="),
    (["head=fc"], "head=fc: claims settle that for each run; the arms of a claim have theirs"),
    (
        ["only=1", "trainer.epochs=2"],
        "trainer.epochs=2: each arm of these claims has a trainer.epochs of its own",
    ),
    (["resume=out"], "resume=out: claims settle that for each run; the same command goes on"),
    (["trainer.epochs=0"], "trainer.epochs takes a whole number from 1 to 1000000, or auto; got 0"),
    (["trainer.epoch=3"], "no setting 'trainer.epoch'"),
    (["~head.hidden"], "~head.hidden: gapfc claims takes one value for each setting"),
]
CHANGES = [
    (("margin: 2", "margn: 2"), "claim/mine.yaml: no key margn; did you mean margin?"),
    (("{head: fc,", "{haed: fc,"), "claim/mine.yaml, arm fc: no setting 'haed'"),
]
MORE_CHANGES = [
    (("says: lower", "says: less"), "claim/mine.yaml: primary.says takes higher or lower or"),
    (("{head: fc,", "{head: gapp,"), "claim/mine.yaml, arm fc: head=gapp: no such head"),
    (("train_limit: 60", "train_limit: x"), "claim/mine.yaml, arm gap: dataset.train_limit takes"),
    (("arms:", "data: pictues\narms:"), "preset=quick has no variant with pictues"),
    (("arms:", "arms"), "claim/mine.yaml cannot be read: "),
]


def slow(cases):
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(("typed", "message"), [*TYPED, *slow(MORE_TYPED)])
def test_what_is_typed_wrong(gapfc, typed, message):
    done = gapfc("claims", *typed)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (gapfc.folder / "outputs").exists()


@pytest.mark.parametrize(("change", "message"), [*CHANGES, *slow(MORE_CHANGES)])
def test_a_mistake_in_a_claim_is_found_before_the_first_run(gapfc, mine, change, message):
    done = gapfc(*mine(change))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (gapfc.folder / "out").exists()


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(gapfc, mine):
    typed = mine()
    (gapfc.folder / "out").write_text("a file")
    done = gapfc(*typed)
    assert done.returncode == 2
    assert "out cannot be written (" in done.stderr
    assert "set output_root to a folder that you may write to" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_another_data_set_takes_the_place_of_the_pictures(gapfc, mine):
    typed = mine(
        ("train_limit: 60", "train_images: 60"), ("dataset.test_limit", "dataset.test_images")
    )
    done = gapfc(*typed, "dataset=synthetic_shapes")
    assert done.returncode == 0, done.stderr
    assert "claim 42 on synthetic_shapes: supported" in done.stdout
    assert {run.parts[-4] for run in runs(gapfc.folder)} == {"synthetic_shapes"}
    done = gapfc(*mine(), "dataset=digits")  # its own
    assert done.returncode == 0, done.stderr
    assert "claim 42 on digits: supported" in done.stdout


@pytest.mark.slow
def test_help_and_completion_offer_what_the_command_takes(gapfc):
    told = gapfc("claims", "--help").stdout
    assert "  preset=     full  part  quick*\n" in told
    assert "only=null" in told
    assert "claim=" not in told
    assert "sweep=" not in told
    assert "preset" not in gapfc("train", "--help").stdout
    for line, wanted in (
        ("claims pre", "preset=\npreset.\n"),
        ("train pre", "\n"),
        ("train cla", "\n"),
    ):
        asked = gapfc("-sc", "query=bash", env={"COMP_LINE": f"gapfc {line}"})
        assert sorted(asked.stdout.split()) == sorted(wanted.split()), line
