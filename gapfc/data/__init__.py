"""Images and labels: what there is (load) and how it reaches the device (…_batches)."""

from gapfc.data.arrays import Arrays
from gapfc.data.batches import (
    EvaluationBatches,
    TrainingBatches,
    evaluation_batches,
    training_batches,
)
from gapfc.data.dataset import Dataset, load
from gapfc.data.files import Files
from gapfc.data.sizes import parse_sizes
from gapfc.data.source import Source, Split

__all__ = [
    "Arrays",
    "Dataset",
    "EvaluationBatches",
    "Files",
    "Source",
    "Split",
    "TrainingBatches",
    "evaluation_batches",
    "load",
    "parse_sizes",
    "training_batches",
]
