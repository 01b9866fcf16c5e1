"""Pictures: what is drawn where, nothing overlapping."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from synthetic import change, write_run, write_transfer

from gapfc.compare.answer import compare
from gapfc.compare.collect import collect
from gapfc.compare.estimate import seeds_alone
from gapfc.compare.output.plots import PICTURES, draw, drawings, save_all, svg
from gapfc.compare.output.plots.labels import label_points
from gapfc.compare.output.plots.scatter import _apart
from gapfc.compare.output.plots.sheet import NARROW, WIDE, new_figure, styled
from gapfc.compare.question import Question


@pytest.fixture
def found(sweep):
    return compare(collect([sweep]), Question())


def figures(found, sheet=WIDE):
    return {name: drawing.figure for name, drawing in drawings(found, sheet)}


def drawn(found, name, sheet=WIDE):
    with styled():
        return PICTURES[name][1](found, sheet)


def boxes(figure, texts):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return [text.get_window_extent(canvas.get_renderer()) for text in texts if text.get_text()]


@pytest.mark.slow
def test_every_picture_is_written_as_png_and_svg(found, tmp_path):
    written = save_all(draw(found), tmp_path)
    names = {"differences", "learning_curves", "accuracy_over_seconds", "convergence",
             "against_parameters", "against_macs"}  # fmt: skip
    assert {path.name for path in written} == {
        f"{n}.{end}" for n in names for end in ("png", "svg")
    }
    with Image.open(tmp_path / "differences.png") as image:
        assert image.info["dpi"][0] >= 150
        assert image.width >= 1400


@pytest.mark.parametrize("name", ["differences", "convergence"])
def test_pictures_repeat_to_the_byte(found, name):
    with styled():
        first, second = (svg(PICTURES[name][1](found, WIDE).figure, name) for _ in "ab")
    assert first == second


def test_axes_have_names_with_units(found):
    told = {
        "differences": ("difference to fc in test.accuracy (points)", None),
        "accuracy_over_seconds": ("training (s, on cpu)", "accuracy (%)"),
        "learning_curves": ("epoch", "accuracy (%)"),
        "convergence": ("epoch", "share of the group's runs (%)"),
        "against_parameters": ("parameters of the head, logarithmic", "test.accuracy (%)"),
        "against_macs": ("multiply-accumulates (MACs) per image", "test.accuracy (%)"),
    }
    for name, figure in figures(found).items():
        x, y = told[name]
        assert figure.axes[0].get_xlabel() == x
        if y is not None:
            assert figure.axes[0].get_ylabel() == y


def test_the_forest_plot_shows_each_interval_and_the_baseline(found):
    axes = drawn(found, "differences").figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [row.label for row in found.rows if not row.is_baseline]
    bars = [tuple(c.get_segments()[0][:, 0]) for c in axes.collections]
    expected = [(100 * r.paired.interval.low, 100 * r.paired.interval.high)
                for r in found.rows if r.paired]  # fmt: skip
    assert [pytest.approx(bar) for bar in bars] == expected
    assert list(axes.lines[0].get_xdata()) == [0, 0]


def test_the_curves_are_the_means_of_the_runs(found):
    axes = drawn(found, "learning_curves").figure.axes[1]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    runs = found.row("gap").runs.values()
    expected = sum(found.curves.of(run)["val_accuracy"] for run in runs) / 3
    assert lines["gap"] == pytest.approx(100 * expected)
    assert "fc (baseline)" in lines


def test_convergence_ends_at_the_share_that_reached_it(found):
    axes = drawn(found, "convergence").figure.axes[0]
    for line in axes.lines:
        label = line.get_label().split(" ")[0].rstrip(":")
        row = found.row(label)
        share = 100 * row.epochs.count / row.epochs.total
        assert line.get_ydata()[-1] == pytest.approx(share, abs=1)
        assert f"{row.epochs.count}/3 reached" in line.get_label()


@pytest.mark.parametrize("spread", [1.0, 0.02])
def test_names_of_points_do_not_overlap(spread):
    names = [f"group_{i}" for i in range(12)]
    points = [(1 + spread * (i % 4) / 4, 1 + spread * (i // 4) / 3) for i in range(12)]
    with styled():
        figure, grid = new_figure(7.4, 4.6)
        axes = grid[0][0]
        axes.plot(*zip(*points, strict=True), "o")
        axes.set_xlim(0.5, 2.5)
        axes.set_ylim(0.5, 2.5)
        label_points(axes, points, names, ["k"] * 12)
        placed = boxes(figure, axes.texts)
    assert len(placed) == 12
    pairs = [(a, b) for i, a in enumerate(placed) for b in placed[i + 1 :]]
    assert not any(a.overlaps(b) for a, b in pairs)


def test_groups_of_equal_cost_are_set_apart_and_others_stay():
    spots = _apart([100.0, 100.0, 1000.0], logarithmic=False)
    assert spots[0] != spots[1]
    assert sum(spots[:2]) == pytest.approx(200)
    assert spots[2] == 1000.0


def test_many_groups_are_cut_and_it_is_said(tmp_path):
    for lr in range(1, 20):
        write_run(tmp_path, "gap", 0, config={"optimizer.lr": lr / 100})
    many = compare(collect([tmp_path]), Question(by=("optimizer.lr",)))
    drawing = drawn(many, "learning_curves")
    assert len(drawing.figure.axes[1].get_legend_handles_labels()[1]) in (12, 13)
    assert "the best 12 of 19 groups" in drawing.caption


def test_heat_map_and_drift_of_transfer(transfers):
    found = compare(collect([transfers]), Question(by=("source.head", "protocol")))
    drawn = figures(found)
    axes = drawn["transfer"].axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["scratch", "linear probe", "lp ft",
                                                              "finetune"]  # fmt: skip
    assert [t.get_text() for t in axes.get_yticklabels()] == ["fc", "gap", "spp"]
    table = axes.images[0].get_array()
    assert table[0][1] == pytest.approx(100 * found.row("fc, linear_probe").mean)
    assert len(axes.texts) == 12
    drift = drawn["drift"]
    titles = [a.get_title(loc="left") for a in drift.axes]
    assert titles == [name for name in ("linear probe", "lp ft", "finetune") for _ in "ab"]
    gap = next(line for line in drift.axes[4].lines if line.get_label() == "gap")
    runs = found.row("gap, finetune").runs.values()
    last = [run.results["transfer"]["cka"]["stages.3"] for run in runs]
    assert gap.get_ydata()[-1] == pytest.approx(sum(last) / 3)


def test_a_cell_of_the_heat_map_holds_seeds_alone(tmp_path):
    for shots, accuracy in ((10, 0.8), (5, 0.6), (None, 0.9)):
        for protocol in ("scratch", "finetune"):
            for seed in range(2):
                run = write_transfer(tmp_path / str(shots), "gap", protocol, seed)
                change(run, {"dataset.shots": shots}, {"test.accuracy": accuracy})
    found = compare(collect([tmp_path]), Question(by=("protocol", "dataset.shots")))
    drawn = figures(found)
    panels = [axes for axes in drawn["transfer"].axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [
        f"Target: mnist, shots {shots}" for shots in (5, 10, "null")
    ]
    means = [axes.images[0].get_array().tolist() for axes in panels]
    assert means == [[[pytest.approx(v)] * 2] for v in (60.0, 80.0, 90.0)]
    lines = {line.get_label() for line in drawn["drift"].axes[0].lines}
    assert {"gap → mnist, shots 5", "gap → mnist, shots 10"} < lines


def test_pretrained_weights_under_several_heads_are_rows(tmp_path):
    for head in ("gap", "spp"):
        for protocol in ("scratch", "finetune"):
            run = write_transfer(tmp_path, head, protocol, 0)
            change(run, {}, {"transfer.source.head": "pretrained"})
    drawn = figures(compare(collect([tmp_path]), Question(by=("head", "protocol"))))
    axes = drawn["transfer"].axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["gap", "spp"]
    assert axes.get_ylabel() == "head"
    assert axes.get_title(loc="left") == "Target: mnist"


def test_another_backbone_has_layers_of_its_own_in_the_drift(tmp_path):
    for seed in range(2):
        write_transfer(tmp_path / "a", "gap", "finetune", seed)
        run = write_transfer(tmp_path / "b", "gap", "finetune", seed)
        block = {"transfer.cka": {"stem": 0.5}, "transfer.source.backbone": "other"}
        change(run, {"backbone.name": "other"}, {"backbone": "other"} | block)
    by = ("source.head", "protocol", "backbone", "source.backbone")
    drawn = figures(compare(collect([tmp_path]), Question(by=by)))
    axes = drawn["drift"].axes[0]
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    other = next(line for line in axes.lines if "other" in line.get_label())
    assert names.index("stem") == 4
    assert other.get_ydata()[4] == 0.5
    assert np.isnan(other.get_ydata()[:4]).all()


def test_files_carry_title_and_caption_and_the_page_shows_them_itself(found, tmp_path):
    with styled():
        drawing = PICTURES["differences"][1](found, WIDE)
        assert drawing.figure.get_suptitle() == ""
        height = drawing.figure.get_figheight()
        figure = drawing.with_words()
    assert figure.get_suptitle().replace("\n", " ") == drawing.title
    assert drawing.title == "Difference to fc, paired by seed: right of the line is better"
    assert figure.get_supxlabel().replace("\n", " ") == drawing.caption
    assert figure.get_figheight() > height
    assert all(not axes.get_title(loc="left") for axes in figure.axes)


def test_every_picture_is_drawn_for_a_telephone(found):
    for name, figure in figures(found, NARROW).items():
        assert figure.get_figwidth() == NARROW.width, name
        shown = [axes for axes in figure.axes if axes.get_visible()]
        # One panel below the other: none is beside another.
        assert len({round(axes.get_position().x0, 2) for axes in shown}) == 1, name


@pytest.mark.parametrize("sheet", [WIDE, NARROW])
@pytest.mark.parametrize("name", ["differences", "against_parameters", "convergence"])
def test_no_letter_is_cut_off(found, name, sheet):
    drawing = drawn(found, name, sheet)
    axes = drawing.figure.axes[0]
    texts = [*axes.texts, axes.xaxis.label]
    texts += axes.get_yticklabels() if name == "differences" else []
    texts += [text for legend in drawing.figure.legends for text in legend.get_texts()]
    placed = boxes(drawing.figure, texts)
    whole = drawing.figure.bbox
    assert placed
    for box in placed:
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1
        assert whole.y0 <= box.y0
        assert box.y1 <= whole.y1


def test_parameters_of_heads_are_told_apart_by_eye(found):
    axes = drawn(found, "against_parameters").figure.axes[0]
    assert axes.get_xscale() == "log"
    at = {text.get_text(): axes.transAxes.inverted().transform(axes.transData.transform(text.xy))[0]
          for text in axes.texts if text.get_text()}  # fmt: skip
    assert at["fc (baseline)"] - at["gap"] > 0.6  # of the axis: 4.2M and 5.13k
    assert 0.2 < at["spp"] - at["gap"] < 0.6


def test_a_head_without_parameters_has_its_place(tmp_path):
    for seed in range(2):
        write_run(tmp_path, "gap", seed)
        write_run(tmp_path, "fc", seed)
        change(write_run(tmp_path, "nin", seed), {}, {"parameters.head": 0})
    figure = drawn(compare(collect([tmp_path]), Question()), "against_parameters").figure
    boxes(figure, [])
    assert figure.axes[0].get_xticklabels()[0].get_text() == "0"


def test_equal_costs_are_no_picture(tmp_path):
    for rate in (0.1, 0.2):
        write_run(tmp_path, "gap", 0, config={"optimizer.lr": rate})
    found = compare(collect([tmp_path]), Question(by=("optimizer.lr",)))
    assert drawn(found, "against_parameters") is None
    assert drawn(found, "against_macs") is None


def test_bands_are_of_one_kind_and_each_caption_says_so(found):
    told = {name: drawing.caption for name, drawing in drawings(found, WIDE)}
    for name in ("learning_curves", "accuracy_over_seconds"):
        assert told[name].startswith("Line: mean over seeds. Band: 95% interval over seeds.")
    for name in ("against_parameters", "against_macs"):
        assert "Bar: 95% interval over seeds, on these test images." in told[name]
    assert told["differences"].startswith("Bar: 95% interval over seeds, on these test images.")
    axes = drawn(found, "learning_curves").figure.axes[1]
    runs = found.row("gap").runs.values()
    last = [100 * found.curves.of(run)["val_accuracy"][-1] for run in runs]
    interval = seeds_alone(last).student(0.95)
    index = [line.get_label() for line in axes.lines if len(line.get_xdata()) > 2].index("gap")
    path = axes.collections[index].get_paths()[0].vertices
    ends = path[path[:, 0] == 12][:, 1]
    assert (ends.min(), ends.max()) == pytest.approx((interval.low, min(interval.high, 100)))
