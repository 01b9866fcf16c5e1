"""A claim as data: what is said, the runs that can tell, and the margin fixed beforehand.

A claim is a YAML file in `configs/claim/`, or in `claim/` below the user's --config-dir.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Says = Literal["higher", "lower", "kept"]
Unit = Literal["points", "factor", "value"]
Settings = dict[str, Any]

OWN_RATE, NO_RATE = "own", "default"


@dataclass(frozen=True)
class Arm:
    """The runs of one kind: the same settings, one run per seed.

    Attributes:
        name: in the claim's contrasts, and to the reader.
        data: which of the preset's images: pictures, shapes, …
        settings: by dotted key, as typed behind `gapfc train`; None leaves a key of the preset out.
        rate: "own": chosen for this arm on validation; "default": that of the optimiser's config;
            else the name of the arm whose chosen rate it takes.
        source: the arm whose runs it transfers from; None: trained from scratch.
        seeds: at most so many; None: all of the preset's.
    """

    name: str
    data: str
    settings: Settings
    rate: str = OWN_RATE
    source: str | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class Contrast:
    """One number that arms are compared by.

    Attributes:
        name: to the reader.
        metrics: paths in results.json or `probe.…`, whose mean it is; `a / b` is a quotient.
        of, against: names of arms.
        against_metrics: of `against`, if others.
        says: what the claim expects of `of`: higher, lower, or kept (not lower by the margin).
        unit: points of a share, the factor between both, or the value as it is (nats, CKA).
        shows: of a control, what it tells beside the primary contrast.
    """

    name: str
    metrics: tuple[str, ...]
    of: str
    against: str
    against_metrics: tuple[str, ...]
    says: Says
    unit: Unit
    shows: str = ""

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """Every path it reads, quotients taken apart."""
        both = (*self.metrics, *self.against_metrics)
        return tuple(part.strip() for metric in both for part in metric.split(" / "))


@dataclass(frozen=True)
class Claim:
    """What people say, and how it is put to the test.

    Attributes:
        name: of its file. number: in tables, and for `only=`.
        margin: in points, or a factor above 1: what counts as a difference. reason: why that much.
        primary: all of them have to hold.
        controls: shown beside them; they decide nothing.
        limits: what the verdict does not show.
    """

    name: str
    number: int
    sentence: str
    source: str
    margin: float
    reason: str
    limits: str
    arms: dict[str, Arm]
    primary: tuple[Contrast, ...]
    controls: tuple[Contrast, ...] = field(default_factory=tuple)

    @property
    def unit(self) -> Unit:
        """The unit that the margin is in."""
        return self.primary[0].unit

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Primary ones first."""
        return (*self.primary, *self.controls)
