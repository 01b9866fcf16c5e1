"""What intervals of `gapfc compare` cover, where images are known, and verdicts by a margin."""

import numpy as np
import pytest
from asked import answer, row
from scipy import stats
from synthetic import change, write_measured, write_run

from gapfc.cli.commands.compare import main
from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.crossed import crossed
from gapfc.compare.output.page import html_text
from gapfc.compare.output.plots.forest import differences as differences_drawn
from gapfc.compare.output.plots.sheet import WIDE, styled
from gapfc.compare.question import Question
from gapfc.errors import UserError
from gapfc.records.predictions import PREDICTIONS
from gapfc.records.probes import IMAGES, PROBES, Probes, write_probes

SEEDS, SIZE = 3, 60


def right(head, seed, wrong=6):
    """Which of SIZE images a run gets right: `wrong` not, and up to three more by its seed."""
    generator = np.random.default_rng([seed, len(head), wrong])
    return generator.permutation(SIZE) >= wrong + seed * len(head) % 4


@pytest.fixture
def measured(tmp_path):
    """Three heads on three seeds, with predictions."""
    for head, wrong in (("fc", 6), ("gap", 7), ("spp", 30)):
        for seed in range(SEEDS):
            write_measured(tmp_path / "o", head, seed, right(head, seed, wrong))
    return tmp_path / "o"


def run_of(root, head, seed=0):
    return root / "train/digits/convnet" / head / f"20261122-041530-s{seed}"


def differences(head, wrong):
    return np.array([right(head, s, wrong) * 1.0 - right("fc", s, 6) for s in range(SEEDS)])


def test_differences_are_over_seeds_and_images(measured, tmp_path, capsys):
    found = answer(measured, tmp=tmp_path)
    for head, wrong in (("gap", 7), ("spp", 30)):
        expected = crossed(differences(head, wrong))
        pair = row(found, head)["paired"]
        assert pair["interval"]["low"] == pytest.approx(expected.interval().low)
        assert pair["interval"]["high"] == pytest.approx(expected.interval().high)
        assert pair["interval"]["covers"] == "over seeds and test images"
        assert pair["p"] == pytest.approx(expected.p())
        assert pair["estimate"]["ms_image"] == pytest.approx(expected.ms_image)
    p = [row(found, head)["paired"]["p"] for head in ("gap", "spp")]
    assert row(found, "spp")["paired"]["p_holm"] == pytest.approx(2 * min(p))
    own = crossed([right("fc", seed) for seed in range(SEEDS)]).interval()
    assert row(found, "fc")["interval"]["low"] == pytest.approx(own.low)
    out = capsys.readouterr().out
    assert "95% intervals (± and [ ]) are over seeds and test images." in out
    assert "over 3 seeds and 60 test images)" in out
    assert "Note" not in out


def test_seeds_alone_on_request(measured, tmp_path, capsys):
    found = answer(measured, "--interval", "seeds", tmp=tmp_path)
    reference = stats.ttest_1samp(differences("gap", 7).mean(axis=1), 0)
    assert row(found, "gap")["paired"]["p"] == pytest.approx(reference.pvalue)
    assert "--interval seeds" in found["commands"][-1]
    out = capsys.readouterr().out
    assert "95% intervals (± and [ ]) are over seeds, on these test images." in out
    assert "Note" not in out


def test_a_metric_that_images_do_not_add_is_over_seeds(measured, capsys):
    assert main([str(measured), "--metric", "test.nll"]) == 0
    assert "intervals (± and [ ]) are over seeds, on these test images." in capsys.readouterr().out
    assert main([str(measured), "--metric", "val.accuracy"]) == 0
    assert "intervals (± and [ ]) are over seeds." in capsys.readouterr().out


def test_one_seed_is_over_images_and_says_so(tmp_path, capsys):
    for head, wrong in (("fc", 6), ("gap", 7)):
        write_measured(tmp_path / "o", head, 0, right(head, 0, wrong))
    found = answer(tmp_path / "o", tmp=tmp_path)
    pair = row(found, "gap")["paired"]
    reference = stats.ttest_1samp(differences("gap", 7)[0], 0)
    assert pair["p"] == pytest.approx(reference.pvalue)
    low, high = reference.confidence_interval(0.95)
    assert [pair["interval"][end] for end in ("low", "high")] == pytest.approx([low, high])
    wilson = stats.binomtest(54, 60).proportion_ci(0.95, "wilson")
    assert [row(found, "fc")["interval"][end] for end in ("low", "high")] == pytest.approx(wilson)
    out = capsys.readouterr().out
    assert "over 60 test images, for this one seed)" in out
    assert "90.0 [79.9, 95.3]" in out


def test_a_run_without_predictions_leaves_its_comparisons_with_seeds(measured, tmp_path):
    (run_of(measured, "gap", 1) / PREDICTIONS).unlink()
    found = answer(measured, tmp=tmp_path)
    assert row(found, "gap")["paired"]["interval"]["method"] == "t"
    assert row(found, "spp")["paired"]["interval"]["method"] == "crossed"
    (note,) = found["notes"]
    assert note == (
        "intervals of gap do not cover which images were tested: 1 run did not record what it "
        f"said of each ({run_of(measured, 'gap', 1)}: no predictions.npz)"
    )


def test_without_predictions_one_note_says_so(tmp_path):
    for head in ("fc", "gap"):
        for seed in range(2):
            write_run(tmp_path / "o", head, seed)
    few, note = answer(tmp_path / "o", tmp=tmp_path)["notes"]
    assert few.startswith("2 seeds make wide intervals")
    assert note.startswith("intervals do not cover which images were tested: 4 runs did not")
    assert note.endswith("no predictions.npz; and 3 more)")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"first": 1}, "gap and fc were measured on different images"),
        ({"label": 5}, "gap and fc were measured on images with different labels"),
    ],
)
def test_images_that_are_not_the_same_are_not_paired(tmp_path, other, said):
    for seed in range(SEEDS):
        write_measured(tmp_path / "o", "fc", seed, right("fc", seed))
        write_measured(tmp_path / "o", "gap", seed, right("gap", seed), **other)
    found = answer(tmp_path / "o", tmp=tmp_path)
    assert row(found, "gap")["paired"]["interval"]["method"] == "t"
    assert row(found, "gap")["interval"]["method"] == "crossed"  # its own images are the same
    assert found["notes"] == [f"intervals of gap do not cover which images were tested: {said}"]


def test_predictions_of_other_weights_do_not_count(measured, tmp_path):
    change(run_of(measured, "gap"), {}, {"test.accuracy": 0.95})
    found = answer(measured, tmp=tmp_path)
    assert row(found, "gap")["paired"]["interval"]["method"] == "t"
    assert "predictions.npz: by its images test.accuracy would be 0.8833)" in found["notes"][0]


@pytest.mark.parametrize("content", [b"", b"PK nothing", b"\x93NUMPY"])
def test_damaged_predictions_are_told_and_not_fatal(measured, tmp_path, content):
    (run_of(measured, "gap") / PREDICTIONS).write_bytes(content)
    found = answer(measured, tmp=tmp_path)
    assert f"{run_of(measured, 'gap')}: predictions.npz: " in found["notes"][0]


def probed(root, head, seed, wrong, data="digits", stem="probes"):
    """A run whose accuracy is 1 and, in the mean of two directions, less when shifted."""
    path = write_run(root, head, seed)
    yes = np.array([right(head, seed, wrong), right(head, seed + 50, wrong)])
    accuracy = float(yes.mean())
    values = {"shift": {"zero": {"4": {"accuracy": accuracy, "drop": 1 - accuracy, "ece": 0.1}}}}
    clean = np.ones((1, SIZE), bool)
    write_probes(
        path,
        Probes({"name": data, "split": "test", "images": SIZE}, values, np.arange(SIZE),
               {"clean.accuracy": clean, "shift.zero.4.accuracy": yes}), stem,
    )  # fmt: skip
    return yes.mean(axis=0)


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1), ("drop", -1)])
def test_a_probe_is_a_metric_with_its_images(tmp_path, metric, sign):
    d = [
        probed(tmp_path / "o", "gap", seed, 9) - probed(tmp_path / "o", "fc", seed, 20)
        for seed in range(SEEDS)
    ]
    found = answer(tmp_path / "o", "--metric", f"probe.shift.zero.4.{metric}", tmp=tmp_path)
    pair, expected = row(found, "gap")["paired"], crossed(sign * np.array(d))
    assert pair["mean"] == pytest.approx(sign * np.mean(d))
    assert pair["better"] == sign
    assert pair["interval"]["method"] == "crossed"
    assert pair["interval"]["low"] == pytest.approx(expected.interval().low)


def test_probes_of_other_images_are_metrics_under_their_name(tmp_path):
    root = tmp_path / "o"
    d = [
        probed(root, "gap", seed, 9, stem="probes-photos")
        - probed(root, "fc", seed, 20, stem="probes-photos")
        for seed in range(SEEDS)
    ]
    found = answer(root, "--metric", "probe.photos.shift.zero.4.accuracy", tmp=tmp_path)
    pair = row(found, "gap")["paired"]
    assert pair["mean"] == pytest.approx(np.mean(d))
    assert pair["interval"]["low"] == pytest.approx(crossed(np.array(d)).interval().low)


def test_probes_of_other_data_are_not_paired_and_ece_is_over_seeds(tmp_path):
    for seed in range(SEEDS):
        probed(tmp_path / "o", "gap", seed, 9)
        probed(tmp_path / "o", "fc", seed, 20, data="mine")
    found = answer(tmp_path / "o", "--metric", "probe.shift.zero.4.accuracy", tmp=tmp_path)
    assert "gap and fc were measured on different images" in found["notes"][0]
    found = answer(tmp_path / "o", "--metric", "probe.shift.zero.4.ece", tmp=tmp_path)
    assert "probes.npz: it does not hold probe.shift.zero.4.ece; and 5 more" in found["notes"][0]


def test_broken_probes_are_one_line(tmp_path):
    for seed in range(SEEDS):
        probed(tmp_path / "o", "gap", seed, 9)
        probed(tmp_path / "o", "fc", seed, 20)
    for seed in (0, 1):
        (run_of(tmp_path / "o", "fc", seed) / PROBES).write_text("[]")
    (run_of(tmp_path / "o", "gap") / IMAGES).write_bytes(b"nothing")
    found = answer(tmp_path / "o", "--metric", "probe.shift.zero.4.accuracy", tmp=tmp_path)
    first = run_of(tmp_path / "o", "fc")
    assert (
        f"probes.json of 2 runs cannot be read ({first}: probes.json is not of this gapfc; "
        "and 1 more)"
    ) in found["notes"]
    assert row(found, "fc")["n"] == 1


def test_a_probe_that_no_run_has(measured):
    with pytest.raises(UserError, match=r"no run has this number .*gapfc evaluate measures probes"):
        main([str(measured), "--metric", "probe.shift.zero.4.accuracy"])


def planted(root, head, better, seeds=6, size=2000):
    """Runs that get `better` images more right than fc, each seed some others beside."""
    for seed in range(seeds):
        hits = np.arange(size) >= 200 - better
        lucky = np.random.default_rng([seed, len(head)]).integers(200, size, 4)
        hits[lucky] = False
        write_measured(root, head, seed, hits)


def test_verdicts_by_a_margin(tmp_path, capsys):
    root = tmp_path / "o"
    for head, better in (("fc", 0), ("gap", 0), ("spp", 60), ("sppf", -60), ("nin", 12)):
        planted(root, head, better)
    table = tmp_path / "t.csv"
    found = answer(root, "--margin", "1", "--csv", str(table), tmp=tmp_path)
    told = {r["label"]: r["verdict"] for r in found["rows"]}
    assert told["fc"] is None
    assert (told["gap"]["kind"], told["gap"]["within"]) == ("equivalent", True)
    assert (told["spp"]["kind"], told["spp"]["within"]) == ("better", False)
    assert told["sppf"]["kind"] == "worse"
    assert (told["nin"]["kind"], told["nin"]["within"]) == ("better", True)
    out = capsys.readouterr().out
    assert "gap and fc are equivalent in test.accuracy, within 1 points (difference" in out
    assert "90% interval" in out
    assert "over 6 seeds and 2,000 test images), by less than the margin of 1 points." in out
    assert "verdict" in out
    assert "(±1)" in out
    assert "better, < 1" in out
    assert "equivalent,True" in table.read_text()
    assert "--margin 1" in found["commands"][-1]


def test_undecided_says_what_would_decide(tmp_path, capsys):
    root = tmp_path / "o"
    for head, better in (("fc", 0), ("nin", 12)):
        planted(root, head, better)
    found = answer(root, "--margin", "0.7", tmp=tmp_path)
    # A difference of 0.6 ± 0.37 points is there; so with fewer images it is not.
    assert row(found, "nin")["verdict"]["kind"] == "better"
    few = tmp_path / "few"
    for head, better in (("fc", 0), ("nin", 3)):
        planted(few, head, better)
    verdict = row(answer(few, "--margin", "0.2", tmp=tmp_path), "nin")["verdict"]
    assert (verdict["kind"], verdict["needs_seeds"]) == ("undecided", None)
    assert 2000 < verdict["needs_images"] < 20_000
    out = capsys.readouterr().out
    assert "undecided at a margin of 0.2 points; no number of seeds would, but about" in out


def test_undecided_over_seeds_names_the_seeds(tmp_path, capsys):
    for seed, nll in enumerate((0.30, 0.20, 0.28)):
        write_run(tmp_path / "o", "fc", seed, results={"test.nll": 0.20})
        write_run(tmp_path / "o", "gap", seed, results={"test.nll": nll})
    found = answer(tmp_path / "o", "--metric", "test.nll", "--margin", "0.01", tmp=tmp_path)
    seeds = row(found, "gap")["verdict"]["needs_seeds"]
    d = np.array([0.10, 0.0, 0.08])
    half = [stats.t.ppf(0.975, n - 1) * d.std(ddof=1) / np.sqrt(n) for n in (seeds - 1, seeds)]
    assert half[1] < d.mean() <= half[0]
    assert f"undecided at a margin of 0.01; about {seeds} seeds would decide." in (
        capsys.readouterr().out
    )


def test_without_a_margin_no_verdict_is_given(measured, tmp_path, capsys):
    found = answer(measured, tmp=tmp_path)
    assert [r["verdict"] for r in found["rows"]] == [None] * 3
    out = capsys.readouterr().out
    high = row(found, "gap")["paired"]["interval"]
    largest = 100 * max(abs(high["low"]), abs(high["high"]))
    told = float(out.partition("differences above ")[2].partition(" points are excluded")[0])
    assert largest <= told < largest + 0.11
    assert "verdict" not in out
    assert "equivalent" not in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--margin", "0"], "--margin 0: give a difference above 0, as 0.5"),
        (["--margin", "nan"], "--margin nan: give a difference above 0"),
        (["--margin", "1", "--confidence", "0.5"], "--confidence 0.5 with --margin: give a share"),
    ],
)
def test_margins_that_make_no_sense(measured, options, said):
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        main([str(measured), *options])


def test_the_page_and_the_picture_say_what_intervals_cover(measured):
    found = compare(collect([measured]), Question(margin=2.0))
    text = html_text(found, [])
    for words in ("95% intervals (± and [ ]) are over seeds and test images.", "Satterthwaite",
                  "verdict (±2)", "The margin is 2 points"):  # fmt: skip
        assert words in text
    with styled():
        told = differences_drawn(found, WIDE).caption
    assert "Bar: 95% interval over seeds and test images. Ticks: single seeds." in told
    assert "Shaded: the margin of ±2 points." in told


def test_two_seeds_are_said_to_make_intervals_wide(sweep, tmp_path):
    for seed in range(2):
        for head in ("fc", "gap"):
            write_run(tmp_path / "two", head, seed)
    (note,) = (n for n in answer(tmp_path / "two", tmp=tmp_path)["notes"] if "seeds make" in n)
    half = {n: stats.t.ppf(0.975, n - 1) / n**0.5 for n in (2, 3, 5)}
    assert f"3 would make one over seeds {half[2] / half[3]:.1f} times narrower" in note
    assert note.endswith(f"5 would {half[2] / half[5]:.1f} times")
    assert not any("seeds make" in note for note in answer(sweep, tmp=tmp_path)["notes"])
