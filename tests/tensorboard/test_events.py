"""Events read back with TensorBoard's own readers."""

import io
import os
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


def run(root, name, cfg, group, accuracy):
    (root / name).mkdir(parents=True)
    log = TensorBoardLog(root / name)
    log.hparams(cfg, group)
    log.scalars({"val/accuracy": accuracy - 0.1, "final/test_accuracy": accuracy}, 100)
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
    assert set(groups) == {"gap aaa", "fc bbb"}
    assert {session.name for session in groups["gap aaa"].sessions} == {"gap/s0", "gap/s1"}

    def metric(group):
        (value,) = [
            m.value for m in groups[group].metric_values if m.name.tag == "final/test_accuracy"
        ]
        return value

    assert metric("gap aaa") == pytest.approx(0.85)
    assert metric("fc bbb") == pytest.approx(0.7)
    columns = groups["fc bbb"].hparams
    assert columns["head"].string_value == "fc"
    assert columns["head options"].string_value == "hidden=[512] dropout=0.5"
    assert columns["learning rate"].number_value == 0.1
    # A column that only the second head uses is a column of the table all the same.
    shown = {info.name for info in experiment.hparam_infos}
    assert set(columns) <= shown
    # TensorBoard shows the first five without being asked.
    assert [info.name for info in experiment.hparam_infos][:5] == list(hparams.SHOWN)
    assert [info.name.tag for info in experiment.metric_infos] == list(hparams.METRICS)


def test_the_row_of_a_transfer_run_names_its_protocol(tmp_path):
    for protocol, group in (("scratch", "aaa"), ("lp_ft", "bbb")):
        run(tmp_path, protocol, config() | {"protocol": protocol}, group, 0.9)
    groups, experiment = session_groups(tmp_path)
    assert set(groups) == {"gap scratch aaa", "gap lp_ft bbb"}
    assert "protocol" not in {info.name for info in experiment.hparam_infos}


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
    (session,) = session_groups(tmp_path)[0]["gap aaa"].sessions
    assert session.status == expected


def test_a_resumed_run_ends_as_its_second_part_did(tmp_path):
    for status, purge in (("interrupted", None), ("completed", 5)):
        log = TensorBoardLog(tmp_path, purge)
        log.hparams(config(), "aaa")
        log.end(status)
        log.close()
    (session,) = session_groups(tmp_path)[0]["gap aaa"].sessions
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
    assert list(chart.multiline.tag) == ["^val/accuracy$"]

    plugin = CustomScalarsPlugin(base_plugin.TBContext(data_provider=provider(tmp_path)))
    merged = plugin.layout_impl(context.RequestContext(), "")
    assert merged.count('"Heads side by side"') == 1


def test_imports_neither_torch_nor_tensorflow():
    program = (
        "import sys, gapfc.tensorboard.events; "
        "sys.exit(bool({'torch', 'tensorflow', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
