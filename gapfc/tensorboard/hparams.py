"""The HPARAMS tab: one row per group, what tells heads apart as columns, final scores beside it.

TensorBoard takes the columns from whichever run it meets first, so every run of a command declares
the same ones; `gapfc dashboard` makes one table of all runs (`gapfc.dashboard.hparams`). The
columns are few, because TensorBoard shows five settings and five scores, 160 pixels each.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Value
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)

from gapfc.formatting import percent, printable
from gapfc.measure.convergence import target_key
from gapfc.settings.shipped import shipped

COMPONENTS = ("dataset", "backbone", "head", "augment", "optimizer", "schedule")
NUMBERS = {
    "learning rate": ("optimizer", "lr"),
    "weight decay": ("optimizer", "weight_decay"),
    "epochs": ("trainer", "epochs"),
    "batch size": ("trainer", "batch_size"),
}
# TensorBoard sorts them by name. A transfer run has two more.
COLUMNS = ("head", "head options", "learning rate")
PROTOCOL, SOURCE = "protocol", "source head"
DEFAULT = "default"
USUAL_TARGET = 0.9
EPOCHS_TO = "final/epochs_to_"
HEAD_PARAMETERS = "final/head_parameters_thousands"
GROUP_DIGITS = 8
LONGEST = 1000


def settings(
    config: Mapping[str, Any], more: Mapping[str, str] | None = None
) -> dict[str, str | float]:
    """The values of a run: the name and options of each component, and the usual numbers.

    config: the resolved config as plain dicts, lists and scalars. more: what only its command has,
    such as `protocol`. The seed is not among them: runs that differ only in it are one row.
    """
    values: dict[str, str | float] = {**(more or {})}
    for component in COMPONENTS:
        node = config.get(component) or {}
        values[component] = _name(node)
        values[f"{component} options"] = _options(component, node)
    for column, (group, key) in NUMBERS.items():
        value = (config.get(group) or {}).get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            values[column] = float(value)
    return values


def metrics(target: str) -> dict[str, str]:
    """Tag and title of the scores, the most important five first.

    target: a key of `convergence.to_accuracy` in results.json. TensorBoard averages a score over
    the seeds that have it: a seed that never reached the target has none.
    """
    accuracy = percent(float(target))
    return {
        "final/test_accuracy": "test accuracy",
        f"{EPOCHS_TO}{target}": f"epochs to {accuracy} val. accuracy (seeds that reached it)",
        "final/area_under_curve": "area under the validation curve",
        HEAD_PARAMETERS: "head parameters (thousands)",
        "final/train_minus_test": "train − test accuracy",
        "final/test_nll": "test NLL",
        "final/test_ece": "test ECE",
        "final/val_accuracy": "validation accuracy",
        "final/train_accuracy": "training accuracy",
        "final/parameters": "parameters",
        "final/macs": "MACs",
        "final/train_seconds": "training seconds",
    }


def final_scalars(results: Mapping[str, Any]) -> dict[str, float | None]:
    """The scores of results.json that are in no split, by tag; None where there is none."""
    gap = results["generalization_gap"] or {}
    convergence = results["convergence"] or {}
    reached = convergence.get("to_accuracy") or {}
    return {
        "final/train_minus_test": gap.get("accuracy"),
        "final/test_minus_train_nll": gap.get("nll"),
        **{f"{EPOCHS_TO}{target}": at["epochs"] for target, at in reached.items()},
        "final/area_under_curve": convergence.get("area_under_curve"),
        HEAD_PARAMETERS: results["parameters"]["head"] / 1000,
        "final/parameters": results["parameters"]["total"],
        "final/macs": results["macs"]["total"],
        "final/train_seconds": results["train_seconds"],
    }


def experiment_summary(config: Mapping[str, Any], more: Mapping[str, str]) -> Summary:
    """The columns and scores of the table, the same for every run of a command."""
    targets = (config.get("trainer") or {}).get("targets") or [USUAL_TARGET]
    nearest = min(targets, key=lambda target: (abs(target - USUAL_TARGET), target))
    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(
                name=name,
                type=api_pb2.DATA_TYPE_FLOAT64 if name in NUMBERS else api_pb2.DATA_TYPE_STRING,
                differs=True,
            )
            for name in (*COLUMNS, *more)
        ],
        metric_infos=metric_infos(metrics(target_key(nearest))),
    )
    return _summary(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))


def metric_infos(titles: Mapping[str, str]) -> Sequence[api_pb2.MetricInfo]:
    """Scores, by tag, as the table declares them."""
    return [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=title)
        for tag, title in titles.items()
    ]


def start_summary(
    config: Mapping[str, Any],
    group: str,
    seconds: float,
    more: Mapping[str, str],
) -> Summary:
    """The run's row. group: the hash that the runs of one row share; seconds: since 1970.

    The row's name says what is not among the columns, or not in all tables.
    """
    values = settings(config, more)
    named = [values["dataset"], values["head"], values.get(PROTOCOL), group[:GROUP_DIGITS]]
    row = " ".join(str(part) for part in named if part)
    start = SessionStartInfo(group_name=printable(row), start_time_secs=seconds)
    for name, value in values.items():
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
    """The options that gapfc's own config of that name has otherwise; all, where it has none."""
    own_column = {key for group, key in NUMBERS.values() if group == component}
    usual = shipped(component, node)
    told = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in node.items()
        if key not in {"name", "_target_"} | own_column
        and (value is not None if key not in usual else value != usual[key])
    ]
    return " ".join(told) or (DEFAULT if usual else "")


def _summary(tag: str, content: HParamsPluginData) -> Summary:
    value = Summary.Value(
        tag=tag,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])
