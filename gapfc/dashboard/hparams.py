"""One table in the HPARAMS tab for all runs, whichever of them TensorBoard meets first."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, metadata
from tensorboard.plugins.hparams.error import HParamsError
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin

from gapfc.formatting import printable
from gapfc.tensorboard.hparams import (
    COLUMNS,
    COMPONENTS,
    EPOCHS_TO,
    PROTOCOL,
    SOURCE,
    USUAL_TARGET,
    metric_infos,
    metrics,
)

# What runs of before called `final/train_minus_test`.
OLD = {"final/gap_accuracy": "train − test accuracy (older runs)"}

READERS = {
    metadata.EXPERIMENT_TAG: metadata.parse_experiment_plugin_data,
    metadata.SESSION_START_INFO_TAG: metadata.parse_session_start_info_plugin_data,
    metadata.SESSION_END_INFO_TAG: metadata.parse_session_end_info_plugin_data,
}


class OneTable(HParamsPlugin):  # type: ignore[misc]  # TensorBoard has no types
    """TensorBoard's plugin, with the columns that all runs together need."""

    def __init__(self, context: TBContext) -> None:
        super().__init__(context)
        self._context = _Together(context)


class _Together(backend_context.Context):  # type: ignore[misc]  # nor here
    def hparams_metadata(
        self, ctx: Any, experiment_id: str, run_tag_filter: Any = None
    ) -> dict[str, dict[str, bytes]]:
        """By run and tag, without what cannot be read: one such run would leave no table at all."""
        found = super().hparams_metadata(ctx, experiment_id, run_tag_filter)
        return {
            run: {tag: content for tag, content in tags.items() if _is_readable(tag, content)}
            for run, tags in found.items()
        }

    def experiment_from_metadata(
        self,
        ctx: Any,
        experiment_id: str,
        include_metrics: bool,
        hparams_run_to_tag_to_content: Mapping[str, Mapping[str, bytes]],
        data_provider_hparams: Any,
        hparams_limit: int | None = None,
    ) -> api_pb2.Experiment:
        """The columns of `COLUMNS`, for transfer two more, and what else differs between rows."""
        starts = [
            metadata.parse_session_start_info_plugin_data(tags[metadata.SESSION_START_INFO_TAG])
            for tags in hparams_run_to_tag_to_content.values()
            if metadata.SESSION_START_INFO_TAG in tags
        ]
        if not starts:
            return api_pb2.Experiment()
        values: dict[str, list[Value]] = defaultdict(list)
        for start in starts:
            for name, value in start.hparams.items():
                values[name].append(value)
        shown = [name for name in (*COLUMNS, PROTOCOL, SOURCE) if name in values]
        others = [
            name
            for name in sorted(values.keys() - set(shown), key=_place)
            if len(set(map(_text, values[name]))) > 1
        ]
        experiment = api_pb2.Experiment(
            hparam_infos=[_info(name, values[name], name in shown) for name in (*shown, *others)]
        )
        if hparams_limit:
            del experiment.hparam_infos[hparams_limit:]
        if include_metrics:
            experiment.metric_infos.extend(self._metric_infos(ctx, experiment_id))
        return experiment

    def _metric_infos(self, ctx: Any, experiment_id: str) -> list[api_pb2.MetricInfo]:
        runs = [set(tags) for tags in self.scalars_metadata(ctx, experiment_id).values()]
        ended = [tags for tags in runs if "final/test_accuracy" in tags]
        older = {tag: title for tag, title in OLD.items() if any(tag in tags for tags in runs)}
        return list(metric_infos(metrics(_target(ended)) | older))


def _is_readable(tag: str, content: bytes) -> bool:
    try:
        READERS[tag](content)
    except (KeyError, HParamsError, DecodeError):
        return False
    return True


def _target(ended: list[set[str]]) -> str:
    """The highest target that half the runs reached, as `gapfc compare` takes it too."""
    reached = Counter(
        tag.removeprefix(EPOCHS_TO) for tags in ended for tag in tags if tag.startswith(EPOCHS_TO)
    )
    known = {float(target): target for target in reached if _is_share(target)}
    by_half = [share for share, target in known.items() if 2 * reached[target] >= len(ended)]
    if by_half:
        return known[max(by_half)]
    return known[min(known)] if known else f"{USUAL_TARGET:.2f}"


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) <= 1
    except ValueError:
        return False


def _place(name: str) -> tuple[bool, bool, int, str]:
    """Names of components before numbers, and those before long lists of options."""
    at = COMPONENTS.index(name) if name in COMPONENTS else len(COMPONENTS)
    return name.endswith(" options"), name not in COMPONENTS, at, name


def _info(name: str, values: list[Value], shown: bool) -> api_pb2.HParamInfo:
    numbers = [value.number_value for value in values if value.HasField("number_value")]
    # TensorBoard puts what differs first, and shows the first five without being asked.
    info = api_pb2.HParamInfo(name=printable(name), differs=shown)
    if len(numbers) == len(values):
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.min_value, info.domain_interval.max_value = min(numbers), max(numbers)
    else:
        info.type = api_pb2.DATA_TYPE_STRING
        info.domain_discrete.extend(sorted(set(map(_text, values))))
    return info


def _text(value: Value) -> str:
    return value.string_value if value.HasField("string_value") else f"{value.number_value:g}"
