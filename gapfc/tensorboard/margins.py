"""Mean and interval of groups, as the margin charts of CUSTOM SCALARS show them.

A sweep writes them to `<output_root>/margins` when it ends: one line and band per group, whereas
the runs' own events give one line per seed.
"""

import contextlib
import os
import re
import socket
import time
from collections import defaultdict
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
# Only files of this name are ever removed: a folder called margins may hold logs of others.
OURS = re.compile(r"events\.out\.tfevents\.(\d{10})\..*\.margins")


@dataclass(frozen=True)
class Margin:
    """One group's curve of one measure; all sequences [points].

    section: what the groups that can be compared have in common; a section of charts. measure: the
    title of the chart that all its groups share. about: what the band is, such as `mean and 95%
    interval over seeds`. steps: of the horizontal axis, rising: optimiser steps, or pixels.
    lower, upper: the interval of the mean, equal to `mean` if there is none, as with one seed.
    """

    section: str
    group: str
    measure: str
    about: str
    steps: Sequence[int]
    mean: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


def write_margins(margins: Sequence[Margin], folder: str | Path) -> list[Path]:
    """Write the events of `margins` to `<folder>/margins/<section>/<group>/`.

    They take the place of earlier ones; groups that no longer exist are removed. One chart per
    section and measure. Returns the folders, one per section and group, each section's together.
    OSError if they cannot be written.
    """
    base = Path(folder) / FOLDER
    sections: dict[str, str] = {}
    places: dict[tuple[str, str], Path] = {}
    members: dict[Path, list[Margin]] = defaultdict(list)
    for margin in margins:
        if margin.section not in sections:
            sections[margin.section] = unique(folder_name(margin.section), sections.values())
        key = (margin.section, margin.group)
        if key not in places:
            above = base / sections[margin.section]
            taken = [place.name for place in places.values() if place.parent == above]
            places[key] = above / unique(folder_name(margin.group), taken)
        members[places[key]].append(margin)
    _remove_others(base, set(members))
    # TensorBoard adds no chart to a section it has met: so each has all of them.
    layout = summary_of(_layout(margins))
    for number, (place, found) in enumerate(members.items()):
        _write(place, found, layout, number)
    return list(members)


def _remove_others(base: Path, kept: set[Path]) -> None:
    for section in base.iterdir() if base.is_dir() else ():
        for old in section.iterdir() if section.is_dir() else ():
            if old not in kept and (files := _earlier(old)):
                for path in files:
                    path.unlink(missing_ok=True)
                # What holds something else stays.
                with contextlib.suppress(OSError):
                    old.rmdir()
                    section.rmdir()


def _write(folder: Path, margins: Sequence[Margin], layout: Summary, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(folder)
    stamps = [int(found[1]) for path in earlier if (found := OURS.fullmatch(path.name))]
    # A running TensorBoard reads files in the order of their names.
    stamp = max([int(time.time()), *(stamp + 1 for stamp in stamps)])
    name = f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.margins"
    writer = RecordWriter((folder / name).open("xb"))
    now = time.time()
    try:
        # CUSTOM SCALARS lists and colours runs by the time of their first event: these come first.
        begun = Event(wall_time=1.0 + number, file_version="brain.Event:2")
        writer.write(begun.SerializeToString())
        writer.write(Event(wall_time=now, summary=layout).SerializeToString())
        for margin in margins:
            rows = zip(margin.steps, margin.mean, margin.lower, margin.upper, strict=True)
            for step, *numbers in rows:
                values = [
                    Summary.Value(tag=tag, simple_value=number)
                    for tag, number in zip(_tags(margin), numbers, strict=True)
                ]
                event = Event(wall_time=now, step=int(step), summary=Summary(value=values))
                writer.write(event.SerializeToString())
    finally:
        writer.close()
    for path in earlier:
        path.unlink(missing_ok=True)


def _layout(margins: Sequence[Margin]) -> layout_pb2.Layout:
    sections: dict[str, dict[str, layout_pb2.Chart]] = defaultdict(dict)
    for margin in margins:
        value, lower, upper = _tags(margin)
        series = layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
        content = layout_pb2.MarginChartContent(series=[series])
        chart = layout_pb2.Chart(title=margin.measure, margin=content)
        sections[f"{margin.section}: {margin.about}"][margin.measure] = chart
    return layout_pb2.Layout(
        category=[
            # TensorBoard shows the margin charts of a category last first.
            layout_pb2.Category(title=title, chart=reversed(charts.values()))
            for title, charts in sections.items()
        ]
    )


def _tags(margin: Margin) -> list[str]:
    """Of mean, lower and upper. What is before the first slash is a section of TIME SERIES."""
    # A chart of tags with parentheses stays empty.
    section, measure = (
        text.translate({ord("/"): "∕", ord("("): "[", ord(")"): "]"})
        for text in (margin.section, margin.measure)
    )
    bounds = f"interval over seeds: {section}/{measure}"
    return [f"all seeds: {section}/{measure}", f"{bounds}/lower", f"{bounds}/upper"]


def _earlier(folder: Path) -> list[Path]:
    """What sweeps before this one have left in a folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if OURS.fullmatch(path.name)]
