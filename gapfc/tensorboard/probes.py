"""What probes found, as scalars `probe/…` and a reliability diagram."""

from collections.abc import Iterator, Mapping
from typing import Any

from gapfc.tensorboard.events import TensorBoardLog
from gapfc.tensorboard.reliability import reliability_picture


def log_probes(
    tensorboard: TensorBoardLog, values: Mapping[str, Any], step: int, under: str = "probe"
) -> None:
    """Log every number in `values`, nested by probe and condition. under: the tags' beginning."""
    tensorboard.scalars(dict(_leaves(values, under)), step)
    if "calibration" in values:
        picture = reliability_picture(values["calibration"]["reliability"])
        tensorboard.image(f"visual/reliability ({under})", picture, step)
        tensorboard.flush()


def _leaves(values: Mapping[str, Any], tag: str) -> Iterator[tuple[str, float | None]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{tag}/{name}")
        elif not isinstance(value, list):
            yield f"{tag}/{name}", value
