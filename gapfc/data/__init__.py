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
from gapfc.data.raw_dataset import RawDataset, Split
from gapfc.data.sizes import parse_sizes

__all__ = [
    "Arrays",
    "Dataset",
    "EvaluationBatches",
    "Files",
    "RawDataset",
    "Split",
    "TrainingBatches",
    "evaluation_batches",
    "load",
    "parse_sizes",
    "training_batches",
]
