"""The HPARAMS tab: one row per group, one column per setting, final scores beside them.

TensorBoard takes the columns from whichever run it meets first. So every run declares the same
ones, and the options of a component, which differ from head to head, share one column.
"""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Value
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)

from gapfc.formatting import printable

COMPONENTS = ("dataset", "backbone", "head", "augment", "optimizer", "schedule")
NUMBERS = {
    "learning rate": ("optimizer", "lr"),
    "weight decay": ("optimizer", "weight_decay"),
    "epochs": ("trainer", "epochs"),
    "batch size": ("trainer", "batch_size"),
}
# TensorBoard shows five columns of each kind without being asked: of the settings those declared
# to differ, of the scores the first.
SHOWN = ("backbone", "dataset", "head", "head options", "learning rate")
METRICS = {
    "final/test_accuracy": "test accuracy",
    "final/test_nll": "test NLL",
    "final/gap_accuracy": "training minus test accuracy",
    "final/parameters": "parameters",
    "final/train_seconds": "training seconds",
    "final/macs": "MACs",
    "final/test_ece": "test ECE",
    "final/val_accuracy": "validation accuracy",
    "final/train_accuracy": "training accuracy",
}
GROUP_DIGITS = 8
LONGEST = 1000


def settings(config: Mapping[str, Any]) -> dict[str, str | float]:
    """The columns of a run: the name and options of each component, and the usual numbers.

    config: the resolved config as plain dicts, lists and scalars. The seed is not among them: runs
    that differ only in it are one row.
    """
    values: dict[str, str | float] = {}
    for component in COMPONENTS:
        node = config.get(component) or {}
        values[component] = _name(node)
        values[f"{component} options"] = _options(component, node)
    for column, (group, key) in NUMBERS.items():
        value = (config.get(group) or {}).get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            values[column] = float(value)
    return values


def experiment_summary() -> Summary:
    """The columns and scores of the table, the same for every run."""
    columns = [name for c in COMPONENTS for name in (c, f"{c} options")]
    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(name=name, type=type_, differs=name in SHOWN)
            for type_, names in (
                (api_pb2.DATA_TYPE_STRING, columns),
                (api_pb2.DATA_TYPE_FLOAT64, NUMBERS),
            )
            for name in names
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=title)
            for tag, title in METRICS.items()
        ],
    )
    return _summary(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))


def start_summary(config: Mapping[str, Any], group: str, seconds: float) -> Summary:
    """The run's row. group: the hash that the runs of one row share; seconds: since 1970.

    A transfer run's protocol is in its row's name: a column would be empty for training runs.
    """
    named = [_name(config.get("head") or {}), config.get("protocol"), group[:GROUP_DIGITS]]
    row = " ".join(str(part) for part in named if part)
    start = SessionStartInfo(group_name=printable(row), start_time_secs=seconds)
    for name, value in settings(config).items():
        start.hparams[name].CopyFrom(
            Value(string_value=printable(value, LONGEST))
            if isinstance(value, str)
            else Value(number_value=value)
        )
    return _summary(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))


def end_summary(success: bool, seconds: float) -> Summary:
    """How and when the run ended; seconds: since 1970."""
    status = api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE
    end = SessionEndInfo(status=status, end_time_secs=seconds)
    return _summary(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))


def _name(node: Mapping[str, Any]) -> str:
    return str(node.get("name") or str(node.get("_target_", "none")).rpartition(".")[2])


def _options(component: str, node: Mapping[str, Any]) -> str:
    own_column = {key for group, key in NUMBERS.values() if group == component}
    return " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in node.items()
        if key not in {"name", "_target_"} | own_column and value is not None
    )


def _summary(tag: str, content: HParamsPluginData) -> Summary:
    value = Summary.Value(
        tag=tag,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])
