"""`gapfc inspect` against counts done by hand."""

import json

import pytest

from gapfc.formatting import count, short_time

TINY = (
    "backbone.widths=[8,8,16]",
    "backbone.pool_after=[1,2]",
    "trainer.batch_size=4",
    "repeats=1",
)


def test_a_row_a_head_with_counts_that_can_be_done_by_hand(gapfc):
    done = gapfc("inspect", "head=fc,gap,nin", *TINY, "--json", "head.bias=true")
    assert done.returncode == 0, done.stderr
    rows = {row["label"]: row for row in json.loads(done.stdout)}
    assert list(rows) == ["fc", "gap", "nin"]
    channels, side, classes = 16, 8, 10
    fc = channels * side * side * 512 + 512 + 512 * classes + classes
    linear = channels * classes + classes
    assert [rows[head]["parameters"]["head"] for head in rows] == [fc, linear, linear]
    assert rows["gap"]["macs"]["head"] == channels * classes
    assert rows["nin"]["macs"]["head"] == channels * classes * side * side
    assert rows["fc"]["macs"]["head"] == channels * side * side * 512 + 512 * classes
    for row in rows.values():
        assert row["feature_map"] == [channels, side, side]
        assert row["input"] == [3, 32, 32]
        assert row["classes"] == classes
        assert row["parameters"]["backbone"] == rows["gap"]["parameters"]["backbone"]
        assert sum(row["share"]["parameters"].values()) == pytest.approx(1)
        assert row["seconds"]["step"] > 0 < row["seconds"]["forward"]


def test_repeats_that_cannot_be_are_named(gapfc):
    done = gapfc("inspect", *TINY, "repeats=0")
    assert done.returncode == 2
    assert "repeats takes a whole number from 1 to 1000000; got 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_built_is_said_in_its_row(gapfc):
    done = gapfc("inspect", "head=gap", "trainer.precision=fp32,fp16", *TINY)
    assert done.returncode == 1
    good, bad = done.stdout.splitlines()[-2:]
    assert good.split()[:2] == ["fp32", "16×8×8"]
    assert bad.startswith("fp16   error: trainer.precision=fp16 needs a GPU")
    assert "Traceback" not in done.stderr
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 100


def test_sets_that_are_not_there_need_not_be(gapfc):
    done = gapfc("inspect", "dataset=fashion_mnist", "data_root=nowhere", *TINY)
    assert done.returncode == 0, done.stderr
    assert "fashion_mnist (3×28×28, 10 classes)" in done.stdout
    assert list(gapfc.folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("plus", ["", "+"])
def test_a_sweeps_file_is_a_table_without_its_seeds(gapfc, plus):
    done = gapfc("inspect", f"{plus}sweep=ladder", "head=gap,fc", *TINY)
    assert done.returncode == 0, done.stderr
    rows = [line.split()[:2] for line in done.stdout.splitlines()[-4:]]
    assert rows == [[head, hidden] for head in ("gap", "fc") for hidden in ("[]", "[512]")]


def test_a_head_of_ones_own_stands_beside_the_others(gapfc):
    mine = gapfc.folder / "mine" / "head"
    mine.mkdir(parents=True)
    (mine / "linear.yaml").write_text("name: linear\n_target_: gapfc.heads.FC\nhidden: []\n")
    done = gapfc("inspect", "--config-dir", "mine", "head=gap,linear", *TINY)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["gap", "linear"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (5130, "5.13k"), (999_999, "1.00M"), (4.2e6, "4.20M")],
)
def test_counts_have_three_digits(number, text):
    assert count(int(number)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(2, "2.00 s"), (0.0123, "12.3 ms"), (5e-5, "50.0 µs")]
)
def test_durations_have_three_digits(seconds, text):
    assert short_time(seconds) == text
