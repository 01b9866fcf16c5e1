"""Epochs and head sizes in sentences, and in a line: no more than their intervals carry."""

import pytest
from scipy import stats
from synthetic import change, write_run, write_transfer

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.sentences import findings
from gapfc.compare.question import Question


def told(root, epochs, parameters=None, **question):
    """What is told of gap against fc; epochs: to 90%, by head and seed."""
    for head, times in epochs.items():
        for seed, time in enumerate(times):
            there = {"epochs": time, "steps": time, "seconds": time}
            changes = {"convergence.to_accuracy": {"0.90": there}}
            if parameters:
                changes["parameters.head"] = parameters[head]
            change(write_run(root, head, seed), {}, changes)
    found = compare(collect([root]), Question(target=0.9, baseline="fc", **question))
    return found, next(each for each in findings(found) if each.label == "gap")


def test_more_epochs_that_are_told_apart(tmp_path):
    found, gap = told(tmp_path, {"fc": (4.0, 5.0, 6.0), "gap": (6.0, 7.1, 7.9)})
    half = stats.t.ppf(0.975, 2) * stats.sem([2.0, 2.1, 1.9])
    assert gap.sentences[1] == (
        f"It needs 2.0 epochs more to 90% validation accuracy (95% interval {2 - half:.1f} to "
        f"{2 + half:.1f} over 3 seeds)."
    )
    assert f"; 2.0 epochs more [{2 - half:.1f}, {2 + half:.1f}]; " in gap.brief
    assert found.row("gap").paired_epochs.better == -1


def test_epochs_that_are_not_told_apart_are_open(tmp_path):
    _, gap = told(tmp_path, {"fc": (4.0, 5.0, 6.0), "gap": (6.0, 4.0, 6.5)})
    assert gap.sentences[1].startswith(
        "Whether it needs more or fewer epochs to 90% validation accuracy is open: 0.5 more (95% "
        "interval −"
    )
    assert "; epochs not told apart, +0.5 [−" in gap.brief


def test_epochs_are_corrected_for_all_comparisons(tmp_path):
    epochs = {"fc": (4.0, 5.0, 6.0), "gap": (5.0, 6.5, 7.7), "nin": (4.5, 4.0, 6.5)}
    epochs |= {"spp": (4.0, 5.5, 6.0), "gmp": (4.0, 5.0, 6.5)}
    found, gap = told(tmp_path, epochs)
    pair = found.row("gap").paired_epochs
    assert pair.p < 0.05 < pair.p_holm == pytest.approx(4 * pair.p)
    assert pair.interval.low > 0
    assert "is open: 1.4 more (95% interval " in gap.sentences[1]
    assert gap.sentences[1].endswith(f", p = {pair.p_holm:.3f} once corrected).")


def test_where_a_run_never_got_there_only_how_many_did(tmp_path):
    _, gap = told(tmp_path, {"fc": (4.0, 5.0, 6.0), "gap": (6.0, None, 7.9)})
    assert gap.sentences[1] == "It reached 90% validation accuracy in 2 of 3 runs, fc in 3 of 3."
    assert "; target reached in 2 of 3 runs (fc: 3 of 3); " in gap.brief


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((4.0, 5.0), "It reaches 90% validation accuracy in as many epochs, on each of 2 seeds."),
        ((6.0, 7.0), "It needs 2.0 epochs more to 90% validation accuracy (on each of 2 seeds: no "
                     "interval)."),
        ((3.0,), "It needs 1.0 epochs fewer to 90% validation accuracy (one seed: no interval)."),
    ],
)  # fmt: skip
def test_without_spread_there_is_no_interval(tmp_path, times, said):
    _, gap = told(tmp_path, {"fc": (4.0, 5.0), "gap": times})
    assert gap.sentences[1] == said


@pytest.mark.parametrize(
    ("fc", "gap", "said"),
    [
        (4_199_946, 5_130, "Its head is 819 times smaller (5.13k against 4.20M parameters)."),
        (1000, 1300, "Its head is 1.3 times larger (1.30k against 1.00k parameters)."),
        (1000, 1001, "Its head is 1.001 times larger (1.00k against 1.00k parameters)."),
        (1000, 0, "Its head has no parameter, that of fc 1.00k parameters."),
        (0, 1000, "Its head has 1.00k parameters, that of fc no parameter."),
        (1000, 1000, None),
    ],
)
def test_the_size_of_the_head(tmp_path, fc, gap, said):
    parameters = {"fc": fc, "gap": gap}
    _, it = told(tmp_path, {"fc": (4.0,), "gap": (5.0,)}, parameters)
    assert it.sentences[2:] == ((said,) if said else ())


def test_a_linear_probe_has_no_epochs(tmp_path):
    for protocol in ("scratch", "linear_probe", "finetune"):
        for seed in range(2):
            write_transfer(tmp_path, "gap", protocol, seed)
    found = compare(collect([tmp_path]), Question(by=("protocol",)))
    by_label = {each.label: " ".join(each.sentences) for each in findings(found)}
    assert "epochs" not in by_label["linear_probe"]
    assert "validation accuracy" in by_label["finetune"]
