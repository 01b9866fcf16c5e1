"""How the dashboard's pages open, and its one table of all runs."""

import io
import re
import zipfile
from urllib.parse import parse_qs, urlsplit

import pytest
from tensorboard import context
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.record_writer import RecordWriter

from gapfc.dashboard.frontend import CHANGES, HEAD_OF_RUN, assets, opening
from gapfc.dashboard.hparams import READERS, OneTable
from gapfc.tensorboard.events import TensorBoardLog


def asked(path, query=""):
    """Status and location that a request gets; the application itself answers 200."""
    got = {}

    def start(status, headers, *rest):
        got.update(status=status, location=dict(headers).get("Location"))

    def app(environ, start):
        start("200 OK", [])
        return [b""]

    list(opening(app)({"PATH_INFO": path, "QUERY_STRING": query}, start))
    return got["status"], got["location"]


def test_the_first_page_opens_without_smoothing_and_with_one_colour_per_head():
    status, location = asked("/")
    assert status == "302 Found"
    options = parse_qs(urlsplit(location).query)
    assert options == {"smoothing": ["0"], "runColorGroup": [f"regex:{HEAD_OF_RUN}"]}
    # What someone else has chosen, and everything but the page, stays as it is.
    assert asked("/", "smoothing=0.9") == ("200 OK", None)
    assert asked("/data/runs") == ("200 OK", None)


@pytest.mark.parametrize(
    ("run", "head"),
    [
        ("digits/convnet/gap s0", "gap"),
        ("digits/convnet/gap s12-3", "gap"),
        ("digits/convnet/gap lr=0.1 s1", "gap lr=0.1"),
        ("all seeds/digits, convnet/gap", "gap"),
        ("transfer/digits/convnet/fc protocol=scratch s0", "fc protocol=scratch"),
    ],
)
def test_a_colour_is_of_a_head_and_its_settings(run, head):
    assert re.search(HEAD_OF_RUN, run).groups() == (head,)


def test_the_pages_are_tensorboard_s_own_but_for_the_width_of_columns():
    from tensorboard.assets import get_default_assets_zip_provider

    with assets()() as changed, get_default_assets_zip_provider()() as shipped:
        ours, theirs = (zipfile.ZipFile(io.BytesIO(f.read())) for f in (changed, shipped))
    assert ours.namelist() == theirs.namelist()
    differing = {name for name in ours.namelist() if ours.read(name) != theirs.read(name)}
    assert differing == {"index.html", "index.js"}
    # One template for settings, one for scores.
    wide, narrow = (words.encode() for words in CHANGES["index.js"])
    assert theirs.read("index.js").count(wide) == 2
    assert ours.read("index.js") == theirs.read("index.js").replace(wide, narrow)


def test_another_tensorboard_s_pages_are_served_as_they_are(monkeypatch):
    def provider():
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("index.js", "anew()")
        return lambda: io.BytesIO(file.getvalue())

    monkeypatch.setattr("tensorboard.assets.get_default_assets_zip_provider", provider)
    with zipfile.ZipFile(assets()()) as served:
        assert {name: served.read(name) for name in served.namelist()} == {"index.js": b"anew()"}
    monkeypatch.setattr("tensorboard.assets.get_default_assets_zip_provider", lambda: None)
    assert assets() is None


def config(head="gap", dataset="digits", lr=0.1):
    return {
        "dataset": {"name": dataset},
        "head": {"name": head},
        "optimizer": {"name": "sgd", "lr": lr},
        "trainer": {"epochs": 3, "targets": [0.5, 0.9]},
    }


def add(root, name, cfg, group, scores, more=None):
    (root / name).mkdir(parents=True)
    log = TensorBoardLog(root / name)
    log.hparams(cfg, group, more)
    log.scalars(scores, 10)
    log.end("completed")
    log.close()


def table(root):
    """The columns with whether they are among the first, the scores' titles, and the rows."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(root))
    backend = OneTable(base_plugin.TBContext(data_provider=provider))._context
    ctx = context.RequestContext()
    experiment = get_experiment.Handler(ctx, backend, "", api_pb2.GetExperimentRequest()).run()
    statuses = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_UNKNOWN]
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=statuses, start_index=0, slice_size=100
    )
    groups = list_session_groups.Handler(ctx, backend, "", request).run().session_groups
    columns = [(info.name, info.differs) for info in experiment.hparam_infos]
    return columns, [info.display_name for info in experiment.metric_infos], groups


def test_training_and_transfer_are_one_table(tmp_path):
    add(tmp_path, "a", config(), "aaa", {"final/test_accuracy": 0.5})
    more = {"protocol": "finetune", "source head": "gap (mnist)"}
    add(tmp_path, "b", config(dataset="svhn"), "bbb", {"final/test_accuracy": 0.6}, more)
    columns, _, rows = table(tmp_path)
    assert columns == [
        ("head", True), ("head options", True), ("learning rate", True), ("protocol", True),
        ("source head", True), ("dataset", False),
    ]  # fmt: skip
    assert {row.name for row in rows} == {"digits gap aaa", "svhn gap finetune bbb"}


def test_columns_of_transfer_need_a_transfer_run_and_others_a_difference(tmp_path):
    for group, head in (("aaa", "gap"), ("bbb", "fc")):
        add(tmp_path, group, config(head), group, {"final/test_accuracy": 0.5})
    names = ["head", "head options", "learning rate"]
    assert table(tmp_path)[0] == [(name, True) for name in names]


@pytest.mark.parametrize(
    ("reached", "target"), [([0.5], "50%"), ([0.5, 0.9], "90%"), ([0.9], "90%"), ([], "90%")]
)
def test_the_target_is_the_highest_that_half_the_runs_reached(tmp_path, reached, target):
    add(tmp_path, "a", config(), "aaa", {"final/test_accuracy": 0.5})
    scores = {f"final/epochs_to_{share:.2f}": 1.5 for share in reached}
    add(tmp_path, "b", config(), "aaa", {"final/test_accuracy": 0.6, **scores})
    assert table(tmp_path)[1][1] == f"epochs to {target} val. accuracy (seeds that reached it)"


def test_runs_of_before_keep_their_score(tmp_path):
    add(tmp_path, "a", config(), "aaa", {"final/test_accuracy": 0.5, "final/gap_accuracy": 0.1})
    assert table(tmp_path)[1][-1] == "train − test accuracy (older runs)"


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe no message", HParamsPluginData(version=99).SerializeToString(),
     HParamsPluginData(version=0).SerializeToString()],
)  # fmt: skip
def test_what_cannot_be_read_of_one_run_takes_no_table_from_the_others(tmp_path, content):
    add(tmp_path, "a", config(), "aaa", {"final/test_accuracy": 0.5})
    columns, scores, _ = table(tmp_path)
    for tag in READERS:
        folder = tmp_path / tag.replace("/", "_")
        folder.mkdir()
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
        value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))
        event = Event(wall_time=1.0, summary=Summary(value=[value]))
        with (folder / "events.out.tfevents.1.x").open("wb") as file:
            RecordWriter(file).write(event.SerializeToString())
    assert table(tmp_path)[:2] == (columns, scores)
    (row,) = table(tmp_path)[2]
    assert row.name == "digits gap aaa"


def test_without_runs_there_is_no_table(tmp_path):
    assert table(tmp_path)[:2] == ([], [])
