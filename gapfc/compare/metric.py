"""How a metric reads: its unit, its number of decimals, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass

from gapfc.compare.estimate import COVERS
from gapfc.formatting import minus

LOWER = (
    "nll", "ece", "brier", "loss", "error", "train_seconds", "seconds", "epochs", "steps",
    "peak_memory_bytes", "generalization_gap", "parameters", "macs", "drop", "adaptive_ece",
)  # fmt: skip
HIGHER = (
    "top5", "area_under_curve", "images_per_second", "gain_over_scratch", "gain", "recall",
    "precision", "pointing", "energy",
)  # fmt: skip
# How far features moved is neither good nor bad: a direction is assumed, and the user is told so.
MOVED = ("drift", "drift_head", "drift_total")
SHARES = (
    "top5", "gain_over_scratch", "gain", "recall", "precision", "drop", "pointing", "energy",
)  # fmt: skip
# Ends of names such as balanced_accuracy, macro_f1 and pair_consistency: shares, better high.
SHARE_ENDS = ("accuracy", "f1", "consistency")
# Measured on the test split, so that which images it happens to hold matters.
ON_TEST_IMAGES = ("test", "probe", "generalization_gap")


@dataclass(frozen=True)
class Measure:
    """A metric's path in results.json, with its direction and unit.

    better: +1 larger is better, -1 smaller is. assumed: whether the direction was assumed, as none
    was known.
    scale: 100 for shares in [0, 1], which are given in percent, and their differences in points.
    """

    path: str
    better: int
    assumed: bool
    scale: float

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return "higher is better" if self.better > 0 else "lower is better"

    @property
    def unit(self) -> str:
        """`%`, `s` or nothing."""
        if self.is_share:
            return "%"
        return "s" if self.path.endswith("seconds") else ""

    @property
    def is_share(self) -> bool:
        """Whether it is given in percent, and a difference in points."""
        return self.scale == 100

    @property
    def unit_of_difference(self) -> str:
        """`points`, `s` or nothing."""
        return "points" if self.is_share else self.unit

    def told(self, value: float, places: int, sign: str = "") -> str:
        """`value` in the unit, with `places` decimals; sign "+": also where it is positive."""
        return minus(f"{self.scale * value:{sign}.{places}f}")

    def covers(self, method: str) -> str:
        """What an interval by `method` covers, in words."""
        told = COVERS[method]
        on_test = self.path.partition(".")[0] in ON_TEST_IMAGES
        return told if on_test else told.partition(",")[0]

    @property
    def axis(self) -> str:
        """The metric as an axis is labelled, `test.accuracy (%)`."""
        return f"{self.path} ({self.unit})" if self.unit else self.path


def measure(path: str, direction: str | None = None) -> Measure:
    """What is known of the metric at `path`; `direction` ("higher" or "lower") overrides it."""
    parts = path.split(".")
    better, assumed = 1, True
    # A gap or a count of parameters is better small, whatever it measures.
    if any(part in MOVED for part in parts):
        better = -1
    elif "cka" in parts:
        better = +1
    elif parts[0] in LOWER or parts[-1] in LOWER:
        better, assumed = -1, False
    elif parts[-1] in HIGHER or parts[-1].endswith(SHARE_ENDS):
        assumed = False
    if direction is not None:
        better, assumed = (1 if direction == "higher" else -1), False
    share = parts[-1] in SHARES or parts[-1].endswith(SHARE_ENDS)
    return Measure(path, better, assumed, 100.0 if share else 1.0)
