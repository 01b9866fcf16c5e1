"""Mean and interval of groups over training, as TensorBoard's margin charts show them.

`gapfc compare --out` writes these beside its tables, and `gapfc dashboard` shows them: one line and
band per group, whereas the runs' own events give one line per seed.
"""

import os
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from gapfc.formatting import folder_name, unique
from gapfc.tensorboard.custom_scalars import summary_of

FOLDER = "margins"
CATEGORY = "Mean over seeds"
PARTS = ("mean", "lower", "upper")


@dataclass(frozen=True)
class Margin:
    """One group's curve of one measure; all sequences [points].

    measure: the title of the chart that all groups share; no slash, which TensorBoard groups by.
    steps: optimiser steps, rising. lower, upper: the interval of the mean, equal to `mean` if there
    is none, as with one seed.
    """

    group: str
    measure: str
    steps: Sequence[int]
    mean: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


def write_margins(margins: Sequence[Margin], folder: str | Path) -> list[Path]:
    """Write the events of `margins` to `<folder>/margins/<group>/`, in place of earlier ones.

    Groups that no longer exist are removed. One chart per measure, in the order of the measures.
    Returns the folders, one per group. OSError if they cannot be written.
    """
    base = Path(folder) / FOLDER
    names: dict[str, str] = {}
    groups: dict[str, list[Margin]] = {}
    for margin in margins:
        if margin.group not in names:
            names[margin.group] = unique(folder_name(margin.group), names.values())
        groups.setdefault(names[margin.group], []).append(margin)
    if base.is_dir():
        for old in base.iterdir():
            if old.name not in groups and _is_ours(old):
                shutil.rmtree(old)
    layout = summary_of(_layout(list(dict.fromkeys(margin.measure for margin in margins))))
    for name, members in groups.items():
        _write(base / name, members, layout)
    return [base / name for name in groups]


def _write(folder: Path, margins: Sequence[Margin], layout: Summary) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    earlier = list(folder.glob("events.out.tfevents.*"))
    stamps = [int(path.name.split(".")[3]) for path in earlier]
    # A running TensorBoard reads files in the order of their names.
    stamp = max([int(time.time()), *(stamp + 1 for stamp in stamps)])
    name = f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}"
    writer = RecordWriter((folder / name).open("xb"))
    now = time.time()
    try:
        writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        writer.write(Event(wall_time=now, summary=layout).SerializeToString())
        for margin in margins:
            rows = zip(margin.steps, margin.mean, margin.lower, margin.upper, strict=True)
            for step, *numbers in rows:
                values = [
                    Summary.Value(tag=tag, simple_value=number)
                    for tag, number in zip(_tags(margin.measure), numbers, strict=True)
                ]
                event = Event(wall_time=now, step=int(step), summary=Summary(value=values))
                writer.write(event.SerializeToString())
    finally:
        writer.close()
    for path in earlier:
        path.unlink()


def _layout(measures: Sequence[str]) -> layout_pb2.Layout:
    charts = []
    # TensorBoard shows the margin charts of a category last first.
    for measure in reversed(measures):
        value, lower, upper = _tags(measure)
        series = layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
        content = layout_pb2.MarginChartContent(series=[series])
        charts.append(layout_pb2.Chart(title=measure, margin=content))
    return layout_pb2.Layout(category=[layout_pb2.Category(title=CATEGORY, chart=charts)])


def _tags(measure: str) -> list[str]:
    return [f"{measure}/{part}" for part in PARTS]


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and all(
        path.name.startswith("events.out.tfevents.") for path in folder.iterdir()
    )
