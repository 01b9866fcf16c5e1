"""What predictions add up to: accuracy, and the classes that are confused most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from gapfc.formatting import plural, printable
from gapfc.measure.wilson import wilson
from gapfc.trained.predict import Prediction, Skipped

CONFIDENCE = 0.95
MOST_CONFUSED = 5


@dataclass
class Tally:
    """What the predictions so far add up to.

    Attributes:
        predicted, skipped: images.
        labelled: images that lie in a folder named after a class.
        right: those of them that were seen as it.
        without_numbers: images of which the network gave no finite number.
        confused: (true class, class seen) -> images.
    """

    predicted: int = 0
    skipped: int = 0
    labelled: int = 0
    right: int = 0
    without_numbers: int = 0
    confused: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, seen: Prediction | Skipped) -> None:
        """Count one more."""
        if isinstance(seen, Skipped):
            self.skipped += 1
            return
        self.predicted += 1
        self.without_numbers += not seen.top
        label, first = seen.image.label, seen.top[0][0] if seen.top else None
        if label is None:
            return
        self.labelled += 1
        if label == first:
            self.right += 1
        elif first is not None:
            self.confused[label, first] += 1

    @property
    def accuracy(self) -> float | None:
        """Of the labelled images; None without any."""
        return self.right / self.labelled if self.labelled else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the accuracy, for images drawn independently (Wilson's)."""
        return None if self.accuracy is None else wilson(self.accuracy, self.labelled, CONFIDENCE)

    def lines(self, classes: Sequence[str], caution: str | None = None) -> list[str]:
        """The end of the report; caution: a line behind the accuracy."""
        said = []
        if self.accuracy is not None and self.interval is not None:
            low, high = self.interval
            others = self.predicted - self.labelled
            without = f" ({others} others in no such folder)" if others else ""
            said.append(
                f"Accuracy {self.accuracy:.1%} on {plural(self.labelled, 'image')} in folders "
                f"named after a class{without}; {CONFIDENCE:.0%} interval "
                f"[{100 * low:.1f}, {100 * high:.1f}]"
            )
            said += [caution] if caution else []
        pairs = [
            f"{printable(classes[true], 24)} as {printable(classes[found], 24)} ({number})"
            for (true, found), number in self.confused.most_common(MOST_CONFUSED)
        ]
        if pairs:
            said.append(f"Most often confused: {', '.join(pairs)}")
        if self.without_numbers:
            images = plural(self.without_numbers, "image")
            said.append(f"The network gave no finite number for {images}, which count as wrong")
        if self.skipped:
            said.append(f"Skipped {plural(self.skipped, 'file')} that could not be read")
        return said
