"""Events read back with TensorBoard's own readers."""

import io
import os
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image
from tensorboard import context
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
)

from gapfc.tensorboard import hparams
from gapfc.tensorboard.events import TensorBoardLog
from gapfc.tensorboard.text import command_line, fenced, results_table


def config(head="gap", seed=0, **head_options):
    return {
        "seed": seed,
        "dataset": {"name": "digits", "_target_": "x.Digits", "image_size": 32},
        "backbone": {"name": "convnet", "_target_": "x.ConvNet", "widths": [64, 128]},
        "head": {"name": head, "_target_": "x.Head", **head_options},
        "optimizer": {"name": "sgd", "_target_": "torch.optim.SGD", "lr": 0.1, "nesterov": True},
        "trainer": {"epochs": 12, "batch_size": 64, "compile": False},
    }


def read(folder):
    return EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0}).Reload()


def run(root, name, cfg, group, accuracy, more=None):
    (root / name).mkdir(parents=True)
    log = TensorBoardLog(root / name)
    log.hparams(cfg, group, more)
    log.scalars({"accuracy/val": accuracy - 0.1, "final/test_accuracy": accuracy}, 100)
    log.end("completed")
    log.close()


def provider(root):
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    return data_provider.MultiplexerDataProvider(multiplexer, str(root))


def session_groups(root):
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider(root)))
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[
            api_pb2.STATUS_UNKNOWN,
            api_pb2.STATUS_SUCCESS,
            api_pb2.STATUS_FAILURE,
            api_pb2.STATUS_RUNNING,
        ],
        start_index=0,
        slice_size=100,
        aggregation_type=api_pb2.AGGREGATION_AVG,
    )
    ctx = context.RequestContext()
    groups = list_session_groups.Handler(ctx, backend, "", request).run().session_groups
    experiment = get_experiment.Handler(ctx, backend, "", api_pb2.GetExperimentRequest()).run()
    return {group.name: group for group in groups}, experiment


def test_scalars_come_back_at_their_steps(tmp_path):
    log = TensorBoardLog(tmp_path)
    log.scalars({"val/accuracy": 0.25, "val/top5": None}, 10)
    log.scalar("val/accuracy", 0.5, 20)
    log.close()
    log.close()
    got = read(tmp_path)
    assert [(e.step, e.value) for e in got.Scalars("val/accuracy")] == [(10, 0.25), (20, 0.5)]
    assert got.Tags()["scalars"] == ["val/accuracy"]
    assert [name.startswith("events.out.tfevents.") for name in os.listdir(tmp_path)] == [True]


def test_a_resume_takes_back_what_will_be_written_again(tmp_path):
    first = TensorBoardLog(tmp_path)
    for step in (10, 20, 30):
        first.scalar("val/accuracy", step / 100, step)
    first.close()
    second = TensorBoardLog(tmp_path, purge_step=20)  # in the same second
    second.scalar("val/accuracy", 0.9, 20)
    second.close()
    third = TensorBoardLog(tmp_path, purge_step=21)
    third.scalar("val/accuracy", 0.95, 25)
    third.close()
    got = [(e.step, round(e.value, 3)) for e in read(tmp_path).Scalars("val/accuracy")]
    assert got == [(10, 0.1), (20, 0.9), (25, 0.95)]


def test_a_kill_loses_nothing_that_was_flushed(tmp_path):
    program = (
        "import os, sys; from gapfc.tensorboard.events import TensorBoardLog\n"
        "TensorBoardLog(sys.argv[1]).scalars({'a': 1.0}, 5) or os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert [(e.step, e.value) for e in read(tmp_path).Scalars("a")] == [(5, 1.0)]


def test_images_come_back_pixel_for_pixel(tmp_path):
    picture = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    log = TensorBoardLog(tmp_path)
    log.image("confusion", picture, 40)
    log.close()
    (event,) = read(tmp_path).Images("confusion")
    assert (event.step, event.height, event.width) == (40, 5, 7)
    pixels = torch.tensor(list(Image.open(io.BytesIO(event.encoded_image_string)).tobytes()))
    assert torch.equal(pixels.reshape(5, 7, 3), picture.permute(1, 2, 0).long())


def test_seeds_are_one_row_and_heads_are_rows_of_their_own(tmp_path):
    run(tmp_path, "gap/s0", config("gap", 0), "aaa", 0.9)
    run(tmp_path, "gap/s1", config("gap", 1), "aaa", 0.8)
    run(tmp_path, "fc/s0", config("fc", 0, hidden=[512], dropout=0.5), "bbb", 0.7)
    groups, experiment = session_groups(tmp_path)
    gap, fc = "digits gap aaa", "digits fc bbb"
    assert set(groups) == {gap, fc}
    assert {session.name for session in groups[gap].sessions} == {"gap/s0", "gap/s1"}

    def metric(group):
        (value,) = [
            m.value for m in groups[group].metric_values if m.name.tag == "final/test_accuracy"
        ]
        return value

    assert metric(gap) == pytest.approx(0.85)
    assert metric(fc) == pytest.approx(0.7)
    columns = groups[fc].hparams
    assert columns["head"].string_value == "fc"
    assert columns["head options"].string_value == "hidden=[512] dropout=0.5"
    assert columns["learning rate"].number_value == 0.1
    # All columns and the first five scores are shown without being asked.
    names = [info.name for info in experiment.hparam_infos]
    assert names == ["head", "head options", "learning rate"]
    assert [info.display_name for info in experiment.metric_infos][:5] == [
        "test accuracy",
        "epochs to 90% val. accuracy (seeds that reached it)",
        "area under the validation curve",
        "head parameters (thousands)",
        "train − test accuracy",
    ]


def test_a_transfer_run_has_its_protocol_and_source_as_columns(tmp_path):
    for protocol, group in (("scratch", "aaa"), ("lp_ft", "bbb")):
        more = {"protocol": protocol, "source head": "gap (mnist)"}
        run(tmp_path, protocol, config(), group, 0.9, more)
    groups, experiment = session_groups(tmp_path)
    assert set(groups) == {"digits gap scratch aaa", "digits gap lp_ft bbb"}
    names = [info.name for info in experiment.hparam_infos]
    assert names == ["head", "head options", "learning rate", "protocol", "source head"]
    columns = groups["digits gap lp_ft bbb"].hparams
    assert columns["protocol"].string_value == "lp_ft"
    assert columns["source head"].string_value == "gap (mnist)"


def test_options_are_those_that_the_shipped_head_has_otherwise():
    def options(**changes):
        usual = {
            "name": "gap", "_target_": "gapfc.heads.GAP", "hidden": [], "dropout": 0.0,
            "bias": True, "parameters": None, "match_parameters_of": None, "lr_multiplier": 1.0,
        }  # fmt: skip
        return hparams.settings({"head": usual | changes})["head options"]

    assert options() == "default"
    assert options(hidden=[256], bias=False) == "hidden=[256] bias=false"
    # Another's head of that name, and names that are no names.
    assert "hidden=[] dropout=0.0" in options(_target_="mine.GAP")
    assert "hidden=[]" in options(name="../train")
    assert "hidden=[]" in options(name="gap\0")


@pytest.mark.parametrize(
    ("targets", "shown"), [([0.5, 0.8, 0.95], "0.95"), ([0.3], "0.30"), ([], "0.90")]
)
def test_the_target_is_the_one_nearest_to_ninety_percent(tmp_path, targets, shown):
    run(tmp_path, "gap", config() | {"trainer": {"targets": targets}}, "aaa", 0.9)
    tags = [info.name.tag for info in session_groups(tmp_path)[1].metric_infos]
    assert tags[1] == f"final/epochs_to_{shown}"


def test_final_scalars_leave_out_what_was_never_reached():
    results = {
        "generalization_gap": {"accuracy": 0.02, "nll": 0.3},
        "convergence": {
            "area_under_curve": 0.8,
            "to_accuracy": {"0.50": {"epochs": 1.5}, "0.90": {"epochs": None}},
        },
        "parameters": {"head": 5130, "total": 6000},
        "macs": {"total": 7},
        "train_seconds": 1.0,
    }
    found = hparams.final_scalars(results)
    assert found["final/train_minus_test"] == 0.02
    assert found["final/test_minus_train_nll"] == 0.3
    assert found["final/epochs_to_0.50"] == 1.5
    assert found["final/epochs_to_0.90"] is None
    assert found["final/head_parameters_thousands"] == 5.13


def test_a_text_is_only_shown_whatever_it_says(tmp_path):
    from tensorboard.plugin_util import markdown_to_safe_html

    evil = "seed: 1\n```\n<script>alert(1)</script> # title\n````\n| a | b |\x1b[31m"
    page = markdown_to_safe_html(fenced(evil, "yaml"))
    assert page.count("<pre>") == 1
    assert "<script>" not in page
    assert "<h1>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; # title" in page
    log = TensorBoardLog(tmp_path)
    log.text("config", fenced(evil))
    log.close()
    (event,) = read(tmp_path).Tensors("config")
    assert event.tensor_proto.string_val[0].decode() == fenced(evil)


def test_a_long_command_is_broken_into_lines_that_a_shell_takes():
    words = ["gapfc", "train", *(f"head.hidden=[{n}, {n}]" for n in range(10, 20))]
    text = command_line(words)
    assert max(map(len, text.splitlines())) <= 104
    printed = text.replace("gapfc", "printf '%s\\n' gapfc", 1)
    done = subprocess.run(["sh", "-c", printed], capture_output=True, text=True)
    assert done.stdout.splitlines() == words


def test_results_are_a_table(tmp_path):
    from tensorboard.plugin_util import markdown_to_safe_html

    scores = {"accuracy": 0.9, "nll": 0.25, "ece": 0.01, "brier": None}
    page = markdown_to_safe_html(
        results_table(
            {
                "train": scores, "val": None, "test": scores | {"accuracy": 0.875},
                "generalization_gap": {"accuracy": 0.025}, "epochs": 3, "best_epoch": 2,
                "parameters": {"head": 5130, "total": 1_200_000}, "train_seconds": 100.0,
                "convergence": {
                    "area_under_curve": 0.8,
                    "to_accuracy": {"0.50": {"epochs": 1.5}, "0.90": {"epochs": None}},
                },
            }
        )
    )  # fmt: skip
    assert page.count("<table>") == 2
    for cell in ("87.50%", "0.2500", "–", "+2.50 points", "5.13k", "1.50", "not reached"):
        assert f">{cell}</td>" in page


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("completed", api_pb2.STATUS_SUCCESS),
        ("failed", api_pb2.STATUS_FAILURE),
        ("interrupted", api_pb2.STATUS_UNKNOWN),
    ],
)
def test_the_row_says_how_the_run_ended(tmp_path, status, expected):
    log = TensorBoardLog(tmp_path)
    log.hparams(config(), "aaa")
    log.end(status)
    log.close()
    (session,) = session_groups(tmp_path)[0]["digits gap aaa"].sessions
    assert session.status == expected


def test_a_resumed_run_ends_as_its_second_part_did(tmp_path):
    for status, purge in (("interrupted", None), ("completed", 5)):
        log = TensorBoardLog(tmp_path, purge)
        log.hparams(config(), "aaa")
        log.end(status)
        log.close()
    (session,) = session_groups(tmp_path)[0]["digits gap aaa"].sessions
    assert session.status == api_pb2.STATUS_SUCCESS


def test_the_run_is_one_run(tmp_path):
    run(tmp_path, "only", config(), "aaa", 0.5)
    assert os.listdir(tmp_path) == ["only"]
    assert [f for _, folders, _ in os.walk(tmp_path / "only") for f in folders] == []


def test_settings_leave_out_the_seed_and_name_what_has_no_name():
    assert hparams.settings(config(seed=0)) == hparams.settings(config(seed=1))
    got = hparams.settings({"optimizer": {"_target_": "torch.optim.AdamW", "lr": 1, "fused": None}})
    assert (got["optimizer"], got["optimizer options"], got["learning rate"]) == ("AdamW", "", 1.0)
    assert got["head"] == "none"


def test_the_layout_lays_heads_side_by_side(tmp_path):
    for head in ("gap", "fc"):
        run(tmp_path, head, config(head), head, 0.5)
    layout = layout_pb2.Layout()
    tensor = read(tmp_path / "gap").Tensors("custom_scalars__config__")[0].tensor_proto
    layout.ParseFromString(tensor.string_val[0])
    assert layout.category[0].title == "Heads side by side"
    chart = layout.category[0].chart[0]
    (tag,) = chart.multiline.tag
    # Also what runs of before called it.
    shown = [t for t in ("accuracy/val", "val/accuracy", "accuracy/val_top5") if re.match(tag, t)]
    assert shown == ["accuracy/val", "val/accuracy"]

    plugin = CustomScalarsPlugin(base_plugin.TBContext(data_provider=provider(tmp_path)))
    merged = plugin.layout_impl(context.RequestContext(), "")
    assert merged.count('"Heads side by side"') == 1


def test_imports_neither_torch_nor_tensorflow():
    program = (
        "import sys, gapfc.tensorboard.events; "
        "sys.exit(bool({'torch', 'tensorflow', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
