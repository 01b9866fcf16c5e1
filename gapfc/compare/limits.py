"""What a comparison cannot tell by how it was measured: two seeds, few errors, unequal starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gapfc.compare.confound import Confound, against, labels_of
from gapfc.compare.question import Question
from gapfc.compare.row import Row
from gapfc.formatting import listed
from gapfc.records.predictions import read_predictions

FEWEST_ERRORS = 30  # test images; fewer leave little to differ in,
CEILING = 0.8  # where so many are right
UNEQUAL_ACCURACY = 0.05  # by which accuracies may differ unsaid where drops from them are compared
UNMOVED = "probe.clean.accuracy"


def two_seeds(rows: Sequence[Row]) -> Iterator[Confound]:
    """Of crossed intervals, which two seeds make too narrow; Student's are as wide as they say."""
    two = [row for row in rows if row.paired and row.paired.n == 2]
    two = [row for row in two if row.paired and row.paired.estimate.method == "crossed"]
    if two:
        yield Confound(
            "two_seeds",
            labels_of(two),
            "two seeds say little of the spread between seeds: where most of the spread is theirs, "
            "a 95% interval holds the true difference in 87% of cases; take 3 seeds or more",
            "two seeds",
        )


def unequal_drops(rows: Sequence[Row], question: Question) -> Iterator[Confound]:
    """Of drops: whoever has learnt nothing loses nothing."""
    if not question.metric.endswith(".drop"):
        return
    means = {row.label: row.mean_of(UNMOVED) for row in rows}
    from_ = {label: mean for label, mean in means.items() if mean is not None}
    if from_ and max(from_.values()) - min(from_.values()) > UNEQUAL_ACCURACY:
        least, most = (end(from_, key=from_.__getitem__) for end in (min, max))
        yield Confound(
            "unmoved",
            tuple(from_),
            f"drops are from unequal accuracies, {from_[least]:.1%} of {least} and "
            f"{from_[most]:.1%} of {most}: whoever has learnt less can lose less",
            f"drops from {against(rows, from_, '{:.1%}'.format)}",
        )


def ceiling(rows: Sequence[Row], question: Question) -> Iterator[Confound]:
    """Of comparisons in which no difference is told apart: one that is was not too small to see."""
    few: dict[str, str] = {}
    for row in (row for row in rows if row.is_baseline and question.metric.startswith("test.")):
        accuracy, images = row.mean_of("test.accuracy"), _images(row)
        if accuracy is not None and images is not None:
            errors = images * (1 - accuracy)
            if errors < FEWEST_ERRORS and accuracy >= CEILING:
                few[row.label] = f"{row.label} makes {errors:.3g} errors on {images} test images"
    near = [row for row in rows if row.baseline in few and not row.told_apart(question.confidence)]
    if near:
        baselines = [row for row in rows if row.label in {other.baseline for other in near}]
        told = listed([few[row.label] for row in baselines[:3]])
        concerns = (
            ""
            if len(near) == sum(r.baseline in few for r in rows)
            else (f", which concerns {listed(labels_of(near))}")
        )
        yield Confound(
            "ceiling",
            labels_of([row for row in rows if row in near or row in baselines]),
            f"near the ceiling: {told}, fewer than {FEWEST_ERRORS}, so little is left to differ in"
            + concerns,
            "near the ceiling",
        )


def _images(row: Row) -> int | None:
    """The number of test images, if a run recorded what it said of each."""
    for run in row.runs.values():
        try:
            return len(read_predictions(run.path))
        except (OSError, ValueError):
            continue
    return None
