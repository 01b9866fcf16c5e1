"""Margins over seeds: what `gapfc compare --out` writes for TensorBoard's margin charts."""

import numpy as np
import pytest
from scipy import stats
from serving import write_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.util import tensor_util

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.output.margins import margins
from gapfc.compare.question import Question
from gapfc.tensorboard.margins import Margin, write_margins

HEADER = "epoch,step,lr,train_loss,train_accuracy,val_loss,val_accuracy\n"


def read(folder):
    return EventAccumulator(str(folder)).Reload()


def curve(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def layout(events):
    (event,) = events.Tensors("custom_scalars__config__")
    found = layout_pb2.Layout()
    found.ParseFromString(tensor_util.make_ndarray(event.tensor_proto).item())
    return found


def margin(group, measure="accuracy", steps=(10, 20), mean=(0.5, 0.75)):
    return Margin(group, measure, steps, mean, [m - 0.25 for m in mean], [m + 0.25 for m in mean])


def test_each_group_is_a_run_with_mean_and_interval(tmp_path):
    written = write_margins(
        [margin("gap"), margin("fc", steps=[5], mean=[0.5]), margin("gap", "loss")], tmp_path
    )
    assert written == [tmp_path / "margins" / "gap", tmp_path / "margins" / "fc"]
    gap, fc = map(read, written)
    assert curve(gap, "accuracy/mean") == [(10, 0.5), (20, 0.75)]
    assert curve(gap, "accuracy/lower") == [(10, 0.25), (20, 0.5)]
    assert curve(gap, "accuracy/upper") == [(10, 0.75), (20, 1.0)]
    assert curve(gap, "loss/mean") == [(10, 0.5), (20, 0.75)]
    assert curve(fc, "accuracy/mean") == [(5, 0.5)]
    assert "loss/mean" not in fc.Tags()["scalars"]


def test_the_layout_has_a_margin_chart_a_measure(tmp_path):
    folders = write_margins([margin("gap"), margin("fc"), margin("gap", "loss")], tmp_path)
    for folder in folders:
        (category,) = layout(read(folder)).category
        assert category.title == "Mean over seeds"
        assert sorted(chart.title for chart in category.chart) == ["accuracy", "loss"]
        for chart in category.chart:
            (series,) = chart.margin.series
            assert (series.value, series.lower, series.upper) == tuple(
                f"{chart.title}/{part}" for part in ("mean", "lower", "upper")
            )


def test_a_second_comparison_takes_the_place_of_the_first(tmp_path):
    write_margins([margin("gap"), margin("fc")], tmp_path)
    mine = tmp_path / "margins" / "notes"
    mine.mkdir()
    (mine / "thoughts.txt").write_text("keep")
    (gap,) = write_margins([margin("gap", steps=[7], mean=[0.5])], tmp_path)
    assert sorted(path.name for path in (tmp_path / "margins").iterdir()) == ["gap", "notes"]
    assert len(list(gap.iterdir())) == 1
    assert curve(read(gap), "accuracy/mean") == [(7, 0.5)]


def test_a_group_s_name_makes_one_folder(tmp_path):
    (folder,) = write_margins([margin("gap, lr=1/2, ../x")], tmp_path)
    assert folder == tmp_path / "margins" / "gap, lr=1_2, .._x"


@pytest.fixture
def comparison(tmp_path):
    """gap on three seeds, the last of which ended early; fc on one."""
    accuracies = {
        ("gap", 0): [0.5, 0.9, 0.95], ("gap", 1): [0.6, 0.92, 0.97], ("gap", 2): [0.7, 0.9],
        ("fc", 0): [0.25, 0.75],
    }  # fmt: skip
    for (head, seed), values in accuracies.items():
        folder = write_run(
            tmp_path / "outputs", head, seed, test={"accuracy": values[-1]}, epochs=len(values)
        )
        (folder / "config.yaml").write_text(f"head: {{name: {head}}}\n")
        (folder / "metrics.csv").write_text(
            HEADER
            + "".join(f"{n},{n * 20},0.1,1,0.5,{1 - v},{v}\n" for n, v in enumerate(values, 1))
        )
    return compare(collect([tmp_path / "outputs"]), Question(confidence=0.9))


def test_mean_and_student_s_interval_at_each_step(comparison):
    found = {(m.group, m.measure): m for m in margins(comparison)}
    gap = found["gap", "validation accuracy: mean and 90% interval over seeds"]
    values = np.array([[0.5, 0.6, 0.7], [0.9, 0.92, 0.9]])
    low, high = stats.t.interval(0.9, 2, values.mean(1), stats.sem(values, axis=1))
    # Up to the epoch that all seeds reached.
    assert gap.steps == [20, 40]
    np.testing.assert_allclose(gap.mean, values.mean(1))
    np.testing.assert_allclose(gap.lower, low)
    np.testing.assert_allclose(gap.upper, high)
    loss = found["gap", "validation loss: mean and 90% interval over seeds"]
    np.testing.assert_allclose(loss.mean, 1 - values.mean(1))
    np.testing.assert_allclose(loss.upper, 1 - low)


def test_one_seed_has_no_band(comparison):
    (fc,) = [m for m in margins(comparison) if m.group == "fc" and "accuracy" in m.measure]
    assert fc.mean == fc.lower == fc.upper == [0.25, 0.75]


def test_an_interval_holds_only_what_can_be(comparison):
    for row in comparison.rows:
        for run in row.runs.values():
            curves = comparison.curves.of(run)
            curves["val_accuracy"][1:] = 1.0 if run.seed else 0.6
    (gap,) = [m for m in margins(comparison) if m.group == "gap" and "accuracy" in m.measure]
    assert gap.upper[1] == 1.0
    assert gap.lower[1] < gap.mean[1] < gap.upper[1]
