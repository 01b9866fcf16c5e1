"""Margins over seeds: what a sweep writes for TensorBoard's margin charts."""

import numpy as np
import pytest
from scipy import stats
from serving import write_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.util import tensor_util

from gapfc.compare.output.margins import margins
from gapfc.records.probes import Probes, write_probes
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


def margin(group, measure="accuracy", steps=(10, 20), mean=(0.5, 0.75), section="digits"):
    low, high = ([m + by for m in mean] for by in (-0.25, 0.25))
    return Margin(section, group, measure, "mean and interval", steps, mean, low, high)


def mean(measure, section="digits"):
    return f"all seeds: {section}/{measure}"


def bound(which, measure, section="digits"):
    return f"interval over seeds: {section}/{measure}/{which}"


def test_each_group_is_a_run_with_mean_and_interval(tmp_path):
    written = write_margins(
        [margin("gap"), margin("fc", steps=[5], mean=[0.5]), margin("gap", "loss")], tmp_path
    )
    base = tmp_path / "margins" / "digits"
    assert written == [base / "gap", base / "fc"]
    gap, fc = map(read, written)
    assert curve(gap, mean("accuracy")) == [(10, 0.5), (20, 0.75)]
    assert curve(gap, bound("lower", "accuracy")) == [(10, 0.25), (20, 0.5)]
    assert curve(gap, bound("upper", "accuracy")) == [(10, 0.75), (20, 1.0)]
    assert curve(gap, mean("loss")) == [(10, 0.5), (20, 0.75)]
    assert curve(fc, mean("accuracy")) == [(5, 0.5)]
    assert mean("loss") not in fc.Tags()["scalars"]


def test_every_layout_has_a_category_a_section_and_a_margin_chart_a_measure(tmp_path):
    # TensorBoard adds no chart to a category that it has met.
    folders = write_margins(
        [margin("gap"), margin("fc"), margin("gap", "loss"), margin("gap", section="mnist")],
        tmp_path,
    )
    assert len(folders) == 3
    for folder in folders:
        digits, mnist = layout(read(folder)).category
        assert digits.title == "digits: mean and interval"
        assert mnist.title == "mnist: mean and interval"
        # TensorBoard shows them last first.
        assert [chart.title for chart in digits.chart] == ["loss", "accuracy"]
        for section, category in (("digits", digits), ("mnist", mnist)):
            for chart in category.chart:
                (series,) = chart.margin.series
                assert (series.value, series.lower, series.upper) == (
                    mean(chart.title, section),
                    bound("lower", chart.title, section),
                    bound("upper", chart.title, section),
                )


def test_means_are_listed_before_runs_in_their_order(tmp_path):
    first, second = write_margins([margin("gap"), margin("fc")], tmp_path)
    starts = [
        EventAccumulator(str(path)).Reload().FirstEventTimestamp() for path in (first, second)
    ]
    assert starts == [1.0, 2.0]


def test_a_second_sweep_takes_the_place_of_the_first(tmp_path):
    write_margins([margin("gap"), margin("fc"), margin("fc", section="gone")], tmp_path)
    mine = tmp_path / "margins" / "digits" / "notes"
    mine.mkdir()
    (mine / "thoughts.txt").write_text("keep")
    (gap,) = write_margins([margin("gap", steps=[7], mean=[0.5])], tmp_path)
    assert sorted(path.name for path in (tmp_path / "margins").iterdir()) == ["digits"]
    assert sorted(path.name for path in gap.parent.iterdir()) == ["gap", "notes"]
    assert len(list(gap.iterdir())) == 1
    assert curve(read(gap), mean("accuracy")) == [(7, 0.5)]


def test_logs_of_others_in_a_folder_of_that_name_stay(tmp_path):
    theirs = [
        tmp_path / "margins" / name
        for name in ("mnist/run1/events.out.tfevents.1700000000.host.1",
                     "digits/gap/events.out.tfevents.x")
    ]  # fmt: skip
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"measured for days")
    (tmp_path / "margins" / "empty" / "empty").mkdir(parents=True)
    before = set(tmp_path.rglob("*"))
    for of_sweep in ([margin("gap"), margin("fc")], [margin("gap")], []):
        write_margins(of_sweep, tmp_path)
    assert set(tmp_path.rglob("*")) == before
    assert {path.read_bytes() for path in theirs} == {b"measured for days"}


def test_names_make_one_folder_and_tags_that_charts_can_show(tmp_path):
    (folder,) = write_margins([margin("gap, lr=1/2, ../x", "a/(b)", section="x/y (z)")], tmp_path)
    assert folder == tmp_path / "margins" / "x_y (z)" / "gap, lr=1_2, .._x"
    assert mean("a∕[b]", "x∕y [z]") in read(folder).Tags()["scalars"]


def add_run(root, head, seed, accuracies, when=0, config="", **results):
    folder = write_run(
        root, head, seed, when, test={"accuracy": accuracies[-1]}, epochs=len(accuracies), **results
    )
    names = {"dataset": "digits", "backbone": "convnet", "head": head} | results
    parts = (f"{part}: {{name: {names[part]}}}" for part in ("dataset", "backbone", "head")
             if f"{part}:" not in config)  # fmt: skip
    (folder / "config.yaml").write_text("\n".join([f"seed: {seed}", *parts, config]))
    rows = (f"{n},{n * 20},0.1,1,0.5,{1 - v},{v}\n" for n, v in enumerate(accuracies, 1))
    (folder / "metrics.csv").write_text(HEADER + "".join(rows))
    return folder


@pytest.fixture
def outputs(tmp_path):
    """gap on three seeds, the last of which ended early; fc on one."""
    root = tmp_path / "outputs"
    add_run(root, "gap", 0, [0.5, 0.9, 0.95])
    add_run(root, "gap", 1, [0.6, 0.92, 0.97])
    add_run(root, "gap", 2, [0.7, 0.9])
    add_run(root, "fc", 0, [0.25, 0.75])
    return root


def found(root):
    return {(m.section, m.group, m.measure): m for m in margins(root)}


def test_mean_and_student_s_interval_at_each_step(outputs):
    gap = found(outputs)["digits, convnet", "gap", "accuracy, validation"]
    values = np.array([[0.5, 0.6, 0.7], [0.9, 0.92, 0.9]])
    low, high = stats.t.interval(0.95, 2, values.mean(1), stats.sem(values, axis=1))
    # Up to the epoch that all seeds reached.
    assert gap.steps == [20, 40]
    assert gap.about == "mean and 95% interval over seeds"
    np.testing.assert_allclose(gap.mean, values.mean(1))
    np.testing.assert_allclose(gap.lower, low)
    np.testing.assert_allclose(gap.upper, np.minimum(high, 1))
    loss = found(outputs)["digits, convnet", "gap", "loss, validation"]
    np.testing.assert_allclose(loss.mean, 1 - values.mean(1))
    np.testing.assert_allclose(loss.upper, 1 - low)


def test_one_seed_has_no_band(outputs):
    fc = found(outputs)["digits, convnet", "fc", "accuracy, validation"]
    assert fc.mean == fc.lower == fc.upper == [0.25, 0.75]


def test_a_band_holds_only_what_can_be(tmp_path):
    add_run(tmp_path, "gap", 0, [0.6, 0.6])
    add_run(tmp_path, "gap", 1, [0.7, 1.0])
    gap = found(tmp_path)["digits, convnet", "gap", "accuracy, validation"]
    assert (gap.lower[1], gap.upper[1]) == (0.0, 1.0)
    assert gap.mean[1] == 0.8


def test_data_sets_and_backbones_have_a_section_each(outputs):
    add_run(outputs, "gap", 0, [0.3], dataset="mnist")
    add_run(outputs, "gap", 0, [0.4], backbone="alexnet")
    assert list(dict.fromkeys(m.section for m in margins(outputs))) == [
        "digits, alexnet", "digits, convnet", "mnist, convnet",
    ]  # fmt: skip


def test_what_differs_is_in_the_name_of_a_group(outputs):
    for seed, rate in ((0, 0.1), (1, 0.1), (0, 0.01)):
        when = 5 if rate == 0.1 else 6
        add_run(outputs, "nin", seed, [0.5], when, f"optimizer: {{lr: {rate}}}\n")
    add_run(outputs, "nin", 0, [0.8], 7, "optimizer: {lr: 0.1}\n")  # run again: it counts
    groups = {m.group: m for m in margins(outputs) if m.measure == "accuracy, validation"}
    assert set(groups) == {"fc", "gap", "nin lr=0.1", "nin lr=0.01"}
    assert groups["nin lr=0.1"].mean == [pytest.approx((0.8 + 0.5) / 2)]


def test_options_of_a_head_are_in_the_name_only_where_they_differ(tmp_path):
    for when, (head, hidden) in enumerate([("gap", []), ("fc", [512]), ("fc", [])]):
        add_run(tmp_path, head, 0, [0.5], when, f"head: {{name: {head}, hidden: {hidden}}}\n")
    assert {m.group for m in margins(tmp_path)} == {"gap", "fc hidden=[512]", "fc hidden=[]"}


def test_each_protocol_of_transfer_has_its_own_charts(tmp_path):
    for protocol in ("scratch", "finetune"):
        source = {"head": "gap", "dataset": "mnist", "backbone": "convnet", "group": "aaa"}
        add_run(
            tmp_path, "gap", 0, [0.5], int(protocol == "scratch"), f"protocol: {protocol}\n",
            command="transfer", transfer={"protocol": protocol, "source": source},
        )  # fmt: skip
    assert {key for key in found(tmp_path) if "accuracy" in key[2]} == {
        ("transfer mnist → digits, convnet", "gap", f"accuracy, validation, {protocol}")
        for protocol in ("scratch", "finetune")
    }


def test_accuracy_over_shift_has_pixels_as_steps(tmp_path):
    for seed, lost in ((0, 0.2), (1, 0.4)):
        folder = add_run(tmp_path, "gap", seed, [0.9])
        values = {
            "clean": {"accuracy": 0.9},
            "shift": {"zero": {"2": {"accuracy": 0.9 - lost}, "x": {"accuracy": 1}}},
        }
        write_probes(folder, Probes({"name": "digits"}, values))
    shift = found(tmp_path)[
        "digits, convnet", "gap", "accuracy over shift in pixels, black moving in"
    ]
    assert shift.steps == [0, 2]
    np.testing.assert_allclose(shift.mean, [0.9, 0.6])


def test_without_a_completed_run_there_is_none(tmp_path):
    assert margins(tmp_path) == []
    assert margins(tmp_path / "nowhere") == []
    write_run(tmp_path, "gap", 0, status="failed", error="x")
    assert margins(tmp_path) == []
