"""Every probe by its name."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gapfc.errors import UserError
from gapfc.probes.cam import cam
from gapfc.probes.position import position
from gapfc.probes.shift import shift
from gapfc.probes.size import size
from gapfc.probes.subject import Finding, Subject


@dataclass(frozen=True)
class Probe:
    """A probe and, in one line, what it asks."""

    measure: Callable[[Subject], Finding]
    summary: str


PROBES = {
    "shift": Probe(shift, "is the same seen when the image is moved by some pixels"),
    "size": Probe(size, "is the same seen in smaller and larger images"),
    "cam": Probe(cam, "does the evidence for a class lie in the object; needs boxes"),
    "position": Probe(position, "do features still tell where the object stood; needs boxes"),
}
USUAL = ("shift", "size")  # those that take any data set


def known(names: Iterable[str], setting: str) -> tuple[str, ...]:
    """`names`, each once and each of a probe.

    setting: where they were given, for the message. Raises UserError for an unknown one.
    """
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in PROBES:
            near = difflib.get_close_matches(name, PROBES, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UserError(
                f"{setting}: there is no probe '{name}'{hint} There are {', '.join(PROBES)}"
            )
    return wanted
