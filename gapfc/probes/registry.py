"""Every probe by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gapfc.data.dataset import Dataset
from gapfc.errors import UserError
from gapfc.formatting import did_you_mean
from gapfc.probes.boxes import boxes_of
from gapfc.probes.calibration import calibration
from gapfc.probes.cam import cam
from gapfc.probes.corruption import corruption
from gapfc.probes.position import position
from gapfc.probes.shift import shift
from gapfc.probes.size import size
from gapfc.probes.subject import Finding, Subject


@dataclass(frozen=True)
class Probe:
    """What measures, what it asks in a few words, and whether it has to know where objects are."""

    measure: Callable[[Subject], Finding]
    asks: str
    boxes: bool = False


PROBES = {
    "shift": Probe(shift, "is the same seen when the image is moved by some pixels"),
    "size": Probe(size, "is the same seen in smaller and larger images"),
    "corruption": Probe(corruption, "… in noisy, blurred, pale, bright and coarse images"),
    "calibration": Probe(calibration, "is it as sure as it is right; what a temperature mends"),
    "cam": Probe(cam, "does the evidence for a class lie in the object", boxes=True),
    "position": Probe(position, "does what the head pools tell where it is", boxes=True),
}
USUAL = tuple(name for name, probe in PROBES.items() if not probe.boxes)


def known(names: Iterable[str], setting: str) -> tuple[str, ...]:
    """`names`, each once and each of a probe.

    setting: where they were given, for the message. Raises UserError for an unknown one.
    """
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in PROBES:
            hint = did_you_mean(name, PROBES, ".", cutoff=0.5)
            raise UserError(
                f"{setting}: there is no probe '{name}'{hint} There are {', '.join(PROBES)}"
            )
    return wanted


def check_images(names: Iterable[str], dataset: Dataset) -> None:
    """UserError if `dataset` lacks what one of the probes has to know of its images."""
    for name in names:
        if PROBES[name].boxes:
            boxes_of(dataset, "val" if dataset.test is None else "test", name)
