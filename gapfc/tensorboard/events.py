"""A run's TensorBoard events, written straight into its run directory.

TensorBoard's own protos and record format, without torch.utils.tensorboard: that takes over a
second to import, starts a thread, loads TensorFlow where it is installed, and makes a separate
sub-run for hparams.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from gapfc.records.results import Status
from gapfc.tensorboard import hparams
from gapfc.tensorboard.custom_scalars import layout_summary
from gapfc.tensorboard.text import text_summary

if TYPE_CHECKING:
    from torch import Tensor


class TensorBoardLog:
    """The events of one run. The step of everything is the number of optimiser steps."""

    def __init__(self, path: str | Path, purge_step: int | None = None) -> None:
        """Open a new events file in the folder `path`.

        purge_step: on resume, the first step that will be written again; whatever the earlier part
        of the run logged from that step on is no longer shown.
        """
        folder = Path(path)
        self._writer = RecordWriter(_open_after_all_others(folder))
        self._event(file_version="brain.Event:2")
        if purge_step is not None:
            self._event(step=purge_step, session_log=SessionLog(status=SessionLog.START))
        self._event(summary=layout_summary())
        self.flush()

    def scalar(self, tag: str, value: float | None, step: int) -> None:
        """Log a number; None is not logged."""
        if value is not None:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=float(value))])
            self._event(step=step, summary=summary)

    def scalars(self, values: Mapping[str, float | None], step: int) -> None:
        """Log numbers by their tags, and flush; None is not logged."""
        for tag, value in values.items():
            self.scalar(tag, value, step)
        self.flush()

    def image(self, tag: str, image: "Tensor", step: int) -> None:
        """Log a picture. image: uint8 [3, h, w] (see `gapfc.tensorboard.images`)."""
        from gapfc.tensorboard.images import png

        picture = Summary.Image(
            height=image.shape[1],
            width=image.shape[2],
            colorspace=3,
            encoded_image_string=png(image),
        )
        self._event(step=step, summary=Summary(value=[Summary.Value(tag=tag, image=picture)]))

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Log a text (see `gapfc.tensorboard.text`)."""
        self._event(step=step, summary=text_summary(tag, markdown))

    def hparams(
        self, config: Mapping[str, Any], group: str, more: Mapping[str, str] | None = None
    ) -> None:
        """Log the row of the HPARAMS tab.

        group: the group hash, which merges seeds. more: columns that only the run's command has.
        """
        self._event(summary=hparams.experiment_summary(config, more or {}))
        self._event(summary=hparams.start_summary(config, group, time.time(), more or {}))
        self.flush()

    def end(self, status: Status) -> None:
        """Log how the run ended. An interrupted one may continue, so it stays open."""
        if status != "interrupted":
            self._event(summary=hparams.end_summary(status == "completed", time.time()))
        self.flush()

    def flush(self) -> None:
        """Hand everything to the system, so that nothing is lost in a kill."""
        self._writer.flush()

    def close(self) -> None:
        """Flush and close; harmless when done twice. On a full disk what is left is dropped."""
        if not self._writer.closed:
            with suppress(OSError):
                self._writer.close()

    def _event(self, **fields: Any) -> None:
        self._writer.write(Event(wall_time=time.time(), **fields).SerializeToString())


def _open_after_all_others(folder: Path) -> Any:
    # TensorBoard reads a run's files in the order of their names, and a purge holds only for
    # what it has read: a resume in the same second must still sort last.
    stamps = [
        int(path.name.split(".")[3])
        for path in folder.glob("events.out.tfevents.*")
        if path.name.split(".")[3].isdigit()
    ]
    stamp = max(int(time.time()), max(stamps, default=0) + 1)
    return (folder / f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}").open(
        "xb"
    )
